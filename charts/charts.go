// SPDX-License-Identifier: Apache-2.0

// Package charts holds the Helm charts of the runner. README.md says how they are made.
package charts

// What the charts share with the code.
//go:generate go run ./internal/metrics
//go:generate go run ./internal/schema
