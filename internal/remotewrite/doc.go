// SPDX-License-Identifier: Apache-2.0

// Package remotewrite speaks Prometheus remote write, 1.0 and 2.0, from the sender's side: it encodes samples of a log as
// requests (Encoder, Compress, Header), reads what a receiver answers (Classify), and knows what the common receivers take
// (Profile). It opens no connection and keeps no state but buffers.
//
// The protocols are those of https://prometheus.io/docs/specs/prw/remote_write_spec/ and remote_write_spec_2_0/ (2.0-rc.4).
package remotewrite
