// SPDX-License-Identifier: Apache-2.0

// Package natscompat turns a configuration that delivers over NATS into one that delivers by remote write.
//
// Such a configuration has an exporter natsexporter. What it scrapes and how it labels stays as it is; what changes is where metrics go, and
// what a collector of today would refuse. Each change says what became what, and why, and holds the edits that make it, so that
// they can be made in a resolved configuration (Apply) or in the text of a file, which keeps its comments.
//
// What a customer has, the address and credentials, is in the edits by the name of an environment variable only (Ref).
package natscompat
