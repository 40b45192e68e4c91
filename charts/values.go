// SPDX-License-Identifier: Apache-2.0

package charts

import "embed"

// Values are the values.yaml of the chart runner and of its subcharts, with every key that there is.
//
//go:embed runner/values.yaml otel/values.yaml kube-state-metrics/values.yaml dagger/values.yaml
var Values embed.FS
