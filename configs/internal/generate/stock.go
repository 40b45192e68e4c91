// SPDX-License-Identifier: Apache-2.0

package main

import _ "embed"

// stockExporter is the section of the upstream exporter, with what it loses.
//
//go:embed stock.exporter.yaml
var stockExporter string

// stock is collector.yaml with upstream's exporter in the place of ours.
var stock = variant{
	file: "stock.yaml",
	about: `For those who want nothing but upstream components for delivery: upstream's prometheus_remote_write, in its safest
settings, in the place of durable_remote_write. What it loses is said at the exporter.
Authentication: none. To add one, take the extension of another file and name it as auth in the exporter's http section.
`,
	edits: []edit{
		{"#   LOG_DIRECTORY        /var/lib/otelcol-runner/log\n" +
			"#                                  the folder of the log that every sample goes through, on a disk that outlives the process\n", ""},
		{"a killed process loses\n  # the scrapes of all targets while it starts again. Percentages are of the container's memory limit.\n",
			"a killed process would\n  # lose the whole queue. Percentages are of the container's memory limit.\n"},
		{"which the exporter makes labels of each series (resource_labels below)", "which the exporter copies to each series (resource_constant_labels below)"},
		{"all the same is not refused here (legacy), which would fail its whole scrape: the exporter decides.", "all the same is renamed by the exporter; refusing it here (legacy) would fail its whole scrape."},
		{"      # No `batch`: it would accept scrapes that are not in the log yet.\n",
			"      # No `batch`: it would hold scrapes in memory that the exporter's queue does not know of, and hide its errors.\n"},
		{"exporters: [durable_remote_write]", "exporters: [prometheus_remote_write]"},
	},
	exporters: stockExporter,
}
