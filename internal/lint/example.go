// SPDX-License-Identifier: Apache-2.0

package lint

import "strings"

// Example is a configuration, or a part of one, for the documentation.
type Example struct {
	// Text is what is shown.
	Text string
	// Of says what it is a part of: job (the keys of one scrape configuration), jobs (a list of them), file.
	Of string
}

// File returns the example as a whole configuration of the collector.
func (e Example) File() string {
	const head = "receivers:\n  prometheus:\n    config:\n      scrape_configs:\n"
	switch e.Of {
	case "job":
		return head + indent("        - ", "          ", "job_name: example\n"+e.Text)
	case "jobs":
		return head + indent("        ", "        ", e.Text)
	}
	return e.Text
}

func indent(first, rest, text string) string {
	return first + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+rest) + "\n"
}

func ofJob(text string) Example  { return Example{text, "job"} }
func ofJobs(text string) Example { return Example{text, "jobs"} }
func ofFile(text string) Example { return Example{text, "file"} }
