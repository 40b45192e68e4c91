// SPDX-License-Identifier: Apache-2.0

// Package configs holds the reference configurations of the collector: the runner's own, and a whole file for each
// managed Prometheus it can write to. README.md lists them with the environment variables that they read.
package configs

import _ "embed"

//go:generate go run ./internal/generate

// Collector is collector.yaml, the configuration that a runner runs with: YAML of the OpenTelemetry Collector, with
// references to environment variables still in it.
//
//go:embed collector.yaml
var Collector []byte
