// SPDX-License-Identifier: Apache-2.0

//go:generate mdatagen metadata.yaml

// Package durableremotewriteexporter implements the durable_remote_write exporter: what it accepts is on disk, and is delivered from
// there to a Prometheus remote-write receiver, in order, for as long as it takes.
package durableremotewriteexporter
