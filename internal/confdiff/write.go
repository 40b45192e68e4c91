// SPDX-License-Identifier: Apache-2.0

package confdiff

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/cost"
)

// listed is how many of each kind text and Markdown show. JSON has all.
const listed = 20

// section is a list under a heading.
type section struct {
	title string
	lines []string
	more  int // that are not listed
}

// WriteText writes a comparison for people.
func WriteText(to io.Writer, d *Diff) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s -> %s\n\n", d.Old, d.New)
	for _, line := range d.summary() {
		b.WriteString(line + "\n")
	}
	for _, s := range d.sections(plain) {
		fmt.Fprintf(&b, "\n%s\n", s.title)
		for _, line := range s.lines {
			b.WriteString("  " + strings.ReplaceAll(line, "\n", "\n    ") + "\n")
		}
		if s.more > 0 {
			fmt.Fprintf(&b, "  and %d more: see --output json\n", s.more)
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// WriteMarkdown writes a comparison as the comment of a review: the summary, what is lost, and everything else folded.
func WriteMarkdown(to io.Writer, d *Diff) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### What `%s` changes\n\n", d.New)
	for _, line := range d.summary() {
		b.WriteString("- " + escapeMarkdown(line) + "\n")
	}
	for _, s := range d.sections(markdown) {
		open := ""
		if strings.HasPrefix(s.title, lossesTitle) {
			open = " open"
		}
		fmt.Fprintf(&b, "\n<details%s><summary>%s</summary>\n\n", open, escapeMarkdown(s.title))
		for _, line := range s.lines {
			b.WriteString("- " + strings.ReplaceAll(line, "\n", "\n  - ") + "\n")
		}
		if s.more > 0 {
			fmt.Fprintf(&b, "- and %d more\n", s.more)
		}
		b.WriteString("\n</details>\n")
	}
	_, err := io.WriteString(to, b.String())
	return err
}

const lossesTitle = "Dashboards and rules that lose something"

// summary is what has changed, in a few lines.
func (d *Diff) summary() []string {
	if !d.Changed() {
		return []string{fmt.Sprintf("Nothing changes: %s, %s.", count(d.Before, "series"), count(d.Targets.Before, "target"))}
	}
	relabelled := 0
	for _, r := range d.Relabelled {
		relabelled += r.Series
	}
	renamed := 0
	for _, r := range d.Renamed {
		renamed += r.Series
	}
	lines := []string{fmt.Sprintf("Series: %d before, %d after%s", d.Before, d.After, parts(
		part{len(d.Added), "added"}, part{len(d.Removed), "removed"}, part{renamed, "renamed"}, part{relabelled, "with changed labels"}, part{len(d.Values), "with another value"}))}
	if d.Targets.changed() || d.Targets.Before != d.Targets.After {
		lines = append(lines, fmt.Sprintf("Targets: %d before, %d after%s", d.Targets.Before, d.Targets.After, parts(part{len(d.Targets.Added), "added"}, part{len(d.Targets.Removed), "removed"})))
	}
	if d.QueriesRead > 0 {
		lines = append(lines, fmt.Sprintf("Dashboards and rules: %d of %s lose something%s", len(d.Losses()), quantity(d.QueriesRead, "query", "queries"), parts(part{len(d.Queries) - len(d.Losses()), "only find more"}, part{len(d.Unread), "could not be read"})))
	}
	c := &d.Cost
	lines = append(lines, fmt.Sprintf("Cost, as estimated below: %s samples a month before, %s after; %s and %s USD (%s)", cost.Count(c.Before.Samples), cost.Count(c.After.Samples), cost.USD(c.Before.USD), cost.USD(c.After.USD), c.Service))
	return lines
}

// Summary is what has changed, in a line.
func (d *Diff) Summary() string { return strings.Join(d.summary(), "; ") }

type part struct {
	n    int
	what string
}

// parts lists what there is some of.
func parts(all ...part) string {
	var some []string
	for _, p := range all {
		if p.n > 0 {
			some = append(some, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if len(some) == 0 {
		return ""
	}
	return " (" + strings.Join(some, ", ") + ")"
}

func count(n int, noun string) string {
	if noun == "series" {
		return fmt.Sprintf("%d series", n)
	}
	return quantity(n, noun, noun+"s")
}

func quantity(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

// sections are the lists that have something in them. code marks a text as it is in the files.
func (d *Diff) sections(in style) []section {
	var all []section
	add := func(title string, n int, line func(i int) string) {
		if n == 0 {
			return
		}
		s := section{title: title}
		for i := range min(n, listed) {
			s.lines = append(s.lines, line(i))
		}
		s.more = n - len(s.lines)
		all = append(all, s)
	}
	losses := d.Losses()
	add(lossesTitle, len(losses), func(i int) string { return losses[i].lines(in, losses[i].Losses) })
	var gains []Effect
	for _, e := range d.Queries {
		if len(e.Gains) > 0 {
			gains = append(gains, e)
		}
	}
	add("Dashboards and rules that find more", len(gains), func(i int) string { return gains[i].lines(in, gains[i].Gains) })
	add("Queries that could not be read", len(d.Unread), func(i int) string { return in.code(d.Unread[i]) })
	add("Targets that are not scraped any more", len(d.Targets.Removed), func(i int) string { return d.Targets.Removed[i].line(in) })
	add("New targets", len(d.Targets.Added), func(i int) string { return d.Targets.Added[i].line(in) })
	add("Scraped another number of times in an interval", len(d.Targets.Repeated), func(i int) string {
		r := &d.Targets.Repeated[i]
		return fmt.Sprintf("%s: %d, now %d", in.code(r.URL), r.Before, r.After)
	})
	add("Renamed metrics", len(d.Renamed), func(i int) string {
		r := &d.Renamed[i]
		text := fmt.Sprintf("%s is %s now: %s", in.code(r.From), in.code(r.To), count(r.Series, "series"))
		if len(r.Changes) > 0 {
			text += ", " + changed(r.Changes, in)
		}
		return text
	})
	add("Changed labels", len(d.Relabelled), func(i int) string { return d.Relabelled[i].line(in) })
	add("Other intervals", len(d.Intervals), func(i int) string {
		c := &d.Intervals[i]
		return fmt.Sprintf("%s, now %s: %s", c.Before, c.After, count(c.Series, "series"))
	})
	add("Other values", len(d.Values), func(i int) string {
		v := &d.Values[i]
		return fmt.Sprintf("%s: %s, now %s", in.series(v.Series), in.code(v.Before), in.code(v.After))
	})
	add("Removed series", len(d.Removed), func(i int) string { return in.series(d.Removed[i]) })
	add("Added series", len(d.Added), func(i int) string { return in.series(d.Added[i]) })
	add("Dropped points, by reason", len(d.Drops), func(i int) string {
		return fmt.Sprintf("%s: %d, now %d", in.text(d.Drops[i].Reason), d.Drops[i].Before, d.Drops[i].After)
	})
	if d.Cost.Before != d.Cost.After {
		c := &d.Cost
		var lines []string
		for _, a := range c.Assumptions {
			lines = append(lines, in.text("assumed: "+a))
		}
		lines = append(lines,
			fmt.Sprintf("active series: %s, now %s; in a month %s, now %s", cost.Count(float64(c.Before.Series)), cost.Count(float64(c.After.Series)), cost.Count(c.Before.SeriesMonth), cost.Count(c.After.SeriesMonth)),
			fmt.Sprintf("samples a month: %s, now %s", cost.Count(c.Before.Samples), cost.Count(c.After.Samples)),
			fmt.Sprintf("bytes a month with remote write 1.0: %s, now %s; with 2.0: %s, now %s", cost.Size(c.Before.BytesV1), cost.Size(c.After.BytesV1), cost.Size(c.Before.BytesV2), cost.Size(c.After.BytesV2)),
			fmt.Sprintf("USD a month: %s, now %s (%s)", cost.USD(c.Before.USD), cost.USD(c.After.USD), c.Service),
		)
		all = append(all, section{title: "What it costs", lines: lines})
	}
	return all
}

func (t *Target) line(in style) string { return in.text(t.Job) + ": " + in.code(t.URL) }

func (r *Relabelling) line(in style) string {
	return fmt.Sprintf("%s: %s of %s\nsuch as %s\nnow %s", changed(r.Changes, in), count(r.Series, "series"), count(r.Metrics, "metric"), in.series(r.Before), in.series(r.After))
}

// changed says which labels are different.
func changed(all []LabelChange, in style) string {
	changes := make([]string, len(all))
	for i, c := range all {
		values := ""
		switch {
		case c.Several:
		case c.Kind == "changed":
			values = fmt.Sprintf(" from %s to %s", in.code(c.From), in.code(c.To))
		default:
			values = " (" + in.code(c.From+c.To) + ")"
		}
		changes[i] = fmt.Sprintf("%s %s%s", in.code(c.Label), c.Kind, values)
	}
	return strings.Join(changes, ", ")
}

// lines is a query with what it loses or gains.
func (e *Effect) lines(in style, finds []Finds) string {
	text := fmt.Sprintf("%s: %s %s", in.text(e.place()), e.Kind, in.text(e.Name))
	for i := range finds {
		text += "\n" + finds[i].line(in)
	}
	return text
}

func (f *Finds) line(in style) string {
	number := func(n int) string {
		if n == 0 {
			return "none"
		}
		return fmt.Sprint(n)
	}
	text := fmt.Sprintf("%s: %s, now %s", in.code(f.Selector), count(f.Before, "series"), number(f.After))
	if f.Label != "" {
		text = fmt.Sprintf("%s: %s with the label %s, now %s", in.code(f.Selector), count(f.Before, "series"), in.code(f.Label), number(f.After))
	}
	if f.Through != "" {
		text += ", through the recording rule " + in.code(f.Through)
	}
	if f.Reason != "" {
		text += ": " + in.text(f.Reason)
	}
	return text
}

// Messages are the losses of a query, for a finding.
func (e *Effect) Messages() []string {
	var all []string
	for i := range e.Losses {
		all = append(all, fmt.Sprintf("%s %s loses %s", e.Kind, e.Name, e.Losses[i].line(plain)))
	}
	return all
}

// style says how texts from outside are shown: code as it is in the files, and words.
type style struct{ code, text func(string) string }

var (
	plain    = style{plainText, plainText}
	markdown = style{markdownCode, escapeMarkdown}
)

// series is a series as PromQL selects it.
func (s style) series(ls labels.Labels) string {
	name := ls.Get(model.MetricNameLabel)
	rest := labels.NewBuilder(ls).Del(model.MetricNameLabel).Labels()
	if rest.IsEmpty() {
		return s.code(name)
	}
	return s.code(name + rest.String())
}

// plainText is a text as a terminal may show it.
func plainText(text string) string { return strings.Map(printable, text) }

// markdownCode is a text as code: between more backticks than it has.
func markdownCode(text string) string {
	text = plainText(text)
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return fence + text + fence
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}

// escapeMarkdown keeps a text from being read as Markdown or HTML.
func escapeMarkdown(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[").Replace(plainText(text))
}
