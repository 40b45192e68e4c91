// SPDX-License-Identifier: Apache-2.0

package cost

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// textRows is how many parts the text shows of each kind, labelRows how many labels; the rest is summed up.
const (
	textRows  = 10
	labelRows = 20
)

// lineWidth is where the text of an assumption is broken.
const lineWidth = 118

// WriteText writes a report for people: assumptions, totals, services, parts, labels.
func WriteText(to io.Writer, r *Report) error {
	w := &printer{to: to}
	w.printf("Cost of %s\n\nAssumptions\n", r.Source)
	for _, a := range r.Assumptions {
		w.bullet(a)
	}
	w.printf("\n")
	t := &r.Total
	runners := "one runner"
	if r.Runners > 1 {
		runners = Count(float64(r.Runners)) + " runners"
	}
	w.table(func(t2 io.Writer) {
		_, _ = fmt.Fprintf(t2, "%s\tactive series\tseries a month\tsamples a month\tbytes a month, 1.0\tand 2.0\t\n", runners)
		_, _ = fmt.Fprintf(t2, "\t%s\t%s\t%s\t%s\t%s\t\n", Count(float64(t.Series)), Count(t.SeriesMonth), Count(t.Samples), Size(t.BytesV1), Size(t.BytesV2))
	})
	w.printf("\nUSD a month\n")
	for _, s := range r.Services {
		w.printf("  %10s  %s\n", USD(s.USD), s.Name)
	}
	for _, section := range []struct {
		name  string
		parts []Part
	}{{"job", r.Jobs}, {"component", r.Components}, {"metric", r.Metrics}} {
		if len(section.parts) > 0 {
			w.parts(section.name, section.parts, r)
		}
	}
	if len(r.Labels) > 0 {
		w.labels(r)
	}
	for i, exceeded := range r.Exceeded {
		if i == 0 {
			w.printf("\n")
		}
		w.printf("over budget: %s\n", exceeded)
	}
	return w.err
}

// printer keeps the first error.
type printer struct {
	to  io.Writer
	err error
}

func (w *printer) printf(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.to, format, args...)
	}
}

func (w *printer) table(fill func(io.Writer)) {
	if w.err != nil {
		return
	}
	t := tabwriter.NewWriter(w.to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fill(t)
	w.err = t.Flush()
}

// bullet writes a sentence on lines of its own.
func (w *printer) bullet(text string) {
	line := "  -"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > lineWidth {
			w.printf("%s\n", line)
			line = "   "
		}
		line += " " + word
	}
	w.printf("%s\n", line)
}

func (w *printer) parts(kind string, parts []Part, r *Report) {
	w.printf("\n")
	rest := Part{}
	shownParts := parts
	if len(parts) > textRows+1 {
		shownParts = parts[:textRows]
		for _, p := range parts[textRows:] {
			rest.Series += p.Series
			rest.Samples += p.Samples
			rest.BytesV1 += p.BytesV1
			rest.USD += p.USD
		}
		rest.Name = fmt.Sprintf("%d more", len(parts)-textRows)
	}
	w.table(func(t io.Writer) {
		_, _ = fmt.Fprintf(t, "series\tsamples a month\tof all\tbytes a month\tUSD a month\t  by %s\n", kind)
		row := func(p *Part) {
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t  %s\n", Count(float64(p.Series)), Count(p.Samples), percent(ratio(p.Samples, r.Total.Samples)), Size(p.BytesV1), USD(p.USD), shown(p.Name))
		}
		for i := range shownParts {
			row(&shownParts[i])
		}
		if rest.Name != "" {
			row(&rest)
		}
	})
}

func ratio(part, all float64) float64 {
	if all == 0 {
		return 0
	}
	return part / all
}

func (w *printer) labels(r *Report) {
	w.printf("\nWhat each label costs. Without it, series that it alone tells apart become one: summed up, that is a saving. Just dropped,\n" +
		"they collide, and all but one of their samples are lost.\n\n")
	w.table(func(t io.Writer) {
		_, _ = fmt.Fprint(t, "values\tseries with it\tless samples\tless bytes\tless USD\tcolliding series\tseries a month without\t  label\n")
		for i := range r.Labels[:min(len(r.Labels), labelRows)] {
			l := &r.Labels[i]
			name := shown(l.Name)
			if note := l.Note(); note != "" {
				name += ", " + note
			}
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t  %s\n", Count(float64(l.Values)), Count(float64(l.Series)), percent(l.Saved), percent(l.SavedBytes), USD(l.SavedUSD), Count(float64(l.Colliding)), Count(l.Without.SeriesMonth), name)
		}
	})
	if more := len(r.Labels) - labelRows; more > 0 {
		w.printf("%d more labels cost less: see --output json or html\n", more)
	}
}
