// SPDX-License-Identifier: Apache-2.0

// Package charts holds the Helm charts of the runner. What they share with the code is generated into them: the metrics that
// kube-state-metrics exposes, and what became of old values.
package charts

//go:generate go run ./internal/generate
