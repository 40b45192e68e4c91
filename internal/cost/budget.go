// SPDX-License-Identifier: Apache-2.0

package cost

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Budget is a limit on a figure of the total.
type Budget struct {
	// Text is how it was written.
	Text string
	// What is series, samples, bytes or usd.
	What string
	// Limit is what it may be at most.
	Limit float64
}

var budgetPattern = regexp.MustCompile(`^(?:(series|samples|bytes|usd) *)?<= *([0-9]+(?:\.[0-9]+)?) *([kMGB])? *(series|samples|bytes|usd)?$`)

// ParseBudget reads a limit: "<= 20 USD", "series <= 5000", "samples <= 1.5G", "bytes <= 10G". Samples, bytes and dollars are
// those of a month.
func ParseBudget(text string) (Budget, error) {
	// Only the unit of money is written in capitals; k, M and G have a case.
	m := budgetPattern.FindStringSubmatch(strings.ReplaceAll(strings.TrimSpace(text), "USD", "usd"))
	b := Budget{Text: strings.TrimSpace(text)}
	if m != nil {
		b.What = m[1]
		if b.What == "" {
			b.What = m[4]
		}
	}
	if m == nil || b.What == "" || m[4] != "" && m[4] != b.What {
		return b, fmt.Errorf("%q is no budget: write what it is for and its limit, such as `series <= 5000`, `samples <= 1.5G`, `bytes <= 10G` or `<= 20 USD`, the last three a month", text)
	}
	limit, err := strconv.ParseFloat(m[2], 64)
	if err != nil {
		return b, fmt.Errorf("%q: %w", text, err)
	}
	b.Limit = limit * multiple(m[3])
	return b, nil
}

// Check fills in Exceeded. Bytes are those of remote write 1.0.
func (r *Report) Check(budgets []Budget) {
	r.Exceeded = nil
	for _, b := range budgets {
		if wrong := b.check(r); wrong != "" {
			r.Exceeded = append(r.Exceeded, wrong)
		}
	}
}

// check returns what is wrong with a report; empty where the budget is kept.
func (b Budget) check(r *Report) string {
	figure, show := 0.0, Count
	switch b.What {
	case "series":
		figure = float64(r.Total.Series)
	case "samples":
		figure = r.Total.Samples
	case "bytes":
		figure, show = r.Total.BytesV1, Size
	case "usd":
		figure, show = r.Total.USD, USD
	}
	if figure <= b.Limit {
		return ""
	}
	unit := " " + b.What
	switch b.What {
	case "bytes":
		unit = " on the wire a month"
	case "usd":
		unit = " USD a month by " + r.Services[0].Name
	case "samples":
		unit = " samples a month"
	}
	return fmt.Sprintf("%s%s are %s more than the budget allows (%s)", show(figure), unit, show(figure-b.Limit), b.Text)
}
