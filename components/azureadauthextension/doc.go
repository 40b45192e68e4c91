// SPDX-License-Identifier: Apache-2.0

//go:generate mdatagen metadata.yaml

// Package azureadauthextension authenticates HTTP exporters against Azure
// with a Microsoft Entra ID access token, for example to remote-write to Azure
// Monitor managed Prometheus.
//
// Tokens come from Prometheus's own storage/remote/azuread, so that every
// method, cloud and scope means what it means in Prometheus's remote_write.
// This package adds what a collector needs around it: a token request that
// outlives the export request that caused it, that never holds up an export
// past its context nor the shutdown, one token for all exporters, and client
// secrets and certificates that are read again when their files change.
package azureadauthextension
