// SPDX-License-Identifier: Apache-2.0

// Package charts holds the Helm charts of the runner. It has no code: README.md says how the charts are made.
package charts

//go:generate go run ./internal/schema
