// SPDX-License-Identifier: Apache-2.0

package cost

import (
	"fmt"
	"strings"
)

// PricesPage is docs/prices.md.
func PricesPage() string {
	var b strings.Builder
	b.WriteString("<!-- Written by `go test ./internal/cost -update` from internal/cost/prices.go. -->\n\n# Prices\n\n" +
		"What `runnerctl cost` and `runnerctl diff` calculate with: list prices of managed Prometheus services, in US dollars without tax, read on " + PricesRead + ".\n" +
		"They were read on stored copies of public pages, not on the live ones, and **not every figure could be read at its source**: the tables say which.\n" +
		"Check what you rely on, and use your own with `--price`, such as `--price 0.16/10M-samples` or `--price 6.50/1k-series`.\n\n" +
		"A month is 30.4375 days. What `runnerctl cost` says is what a runner adds to a bill on which nothing else is: no free tier is taken off, no base\n" +
		"fee added, and tiers begin at the first sample.\n")
	for _, p := range Plans() {
		fmt.Fprintf(&b, "\n## %s\n\n`--service %s`; %s.\n\n", p.Name, p.ID, p.Region)
		b.WriteString("| billed | USD |\n| --- | --- |\n")
		for i, t := range p.Tiers {
			within := ""
			switch {
			case t.UpTo > 0:
				within = fmt.Sprintf(", of the first %g billion of a month", t.UpTo/1e9)
			case i > 0:
				within = ", of all others"
			}
			if i > 0 && t.UpTo > 0 {
				within = fmt.Sprintf(", from there to %g billion", t.UpTo/1e9)
			}
			fmt.Fprintf(&b, "| a million samples%s | %g |\n", within, t.PerMillion)
		}
		if p.PerThousandSeries > 0 {
			fmt.Fprintf(&b, "| 1,000 active series a month, with %g sample a minute each | %.2f |\n", p.PerMinute, p.PerThousandSeries)
		}
		if p.Storage != nil {
			fmt.Fprintf(&b, "| a GiB stored for a month: %g days of samples at %g bytes | %g |\n", p.Storage.Days, p.Storage.BytesPerSample, p.Storage.PerGiBMonth)
		}
		b.WriteString("\n")
		for _, a := range p.Assumptions {
			b.WriteString("- " + a + "\n")
		}
		b.WriteString("\n| figure | published at | how it is known |\n| --- | --- | --- |\n")
		for _, f := range p.Figures {
			how := "**not verified at the source**: "
			if f.AtSource {
				how = "read at the source: "
			}
			fmt.Fprintf(&b, "| %s | <%s> | %s |\n", f.What, f.URL, how+f.Basis)
		}
	}
	return b.String()
}
