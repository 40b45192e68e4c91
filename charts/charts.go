// SPDX-License-Identifier: Apache-2.0

// Package charts holds the Helm charts of the runner. It has no code: README.md says how the charts are made.
package charts

// What the charts share with the code comes first: the schemas are derived from it as well.
//go:generate go run ./internal/generate
//go:generate go run ./internal/schema
