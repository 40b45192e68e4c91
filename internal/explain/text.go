// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// SGR sequences.
const (
	reset  = "\x1b[0m"
	bold   = "\x1b[1m"
	faint  = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
)

// maxText is how much of a value is shown as text, in bytes: all of it is in JSON and HTML.
const maxText = 160

type textWriter struct {
	*bufio.Writer
	color bool
}

// WriteText writes an explanation for people, in lines that begin with the stage.
func WriteText(w io.Writer, e *Explanation, color bool) error {
	t := textWriter{bufio.NewWriter(w), color}
	t.flow(e.Flow)
	if len(e.Ways) > 1 {
		t.print("\n")
		for i := range e.Ways {
			w := &e.Ways[i]
			t.line("%d. %s%s  %s", i+1, short(w.Name), t.paint(faint, " of "+clean(w.of())), t.paint(outcomeColor(w.Outcome), w.Outcome))
		}
	}
	for i := range e.Ways {
		t.print("\n")
		t.way(&e.Ways[i])
	}
	if len(e.Ways) == 0 {
		t.line("\n%s", t.paint(red, "Nothing matches "+clean(e.Asked)+" at "+e.At+"."))
		for i, name := range e.Nearest {
			if i == 0 {
				t.line("The nearest there is:")
			}
			t.line("  %s", clean(name))
		}
	}
	if len(e.Others) > 0 {
		t.line("\n%s", t.paint(bold, "Others that match:"))
		for _, name := range e.Others {
			t.line("  %s", clean(name))
		}
		if e.MoreOthers > 0 {
			t.line("  and %d more", e.MoreOthers)
		}
	}
	for i, note := range e.Notes {
		if i == 0 {
			t.print("\n")
		}
		t.line("%s", t.paint(faint, "note: "+clean(note)))
	}
	return t.Flush()
}

// print writes text; the buffered writer keeps the first error for Flush.
func (t textWriter) print(text string) { _, _ = t.WriteString(text) }

func (t textWriter) line(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\n", args...) }

// paint puts a text in a color where colors are allowed.
func (t textWriter) paint(color, text string) string {
	if !t.color || text == "" {
		return text
	}
	return color + text + reset
}

// clean takes what a terminal would act on out of a text from outside.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control) {
			return '\uFFFD'
		}
		return r
	}, text)
}

func short(text string) string { return clean(cut(text, maxText)) }

func (t textWriter) flow(stations []Station) {
	var parts []string
	for i := range stations {
		parts = append(parts, describe(&stations[i]))
	}
	t.line("%s", t.paint(faint, "all:  "+strings.Join(parts, "  →  ")))
}

// describe says the numbers of a station in a few words.
func describe(s *Station) string {
	switch s.Stage {
	case StageDiscovery:
		return counted(s.Out, "target discovered", "targets discovered")
	case StageRelabel:
		return counted(s.Out, "kept", "kept")
	case StageScrape:
		return counted(s.Out, "answers", "answer")
	case StageMetric:
		return fmt.Sprintf("%d of %d samples after metric_relabel_configs", s.Out, s.In)
	case StageProcessor:
		return counted(s.Gone(), "point dropped by the runner processor", "points dropped by the runner processor")
	default:
		return counted(s.Out, "series delivered", "series delivered") + " (the scraper's own included)"
	}
}

func (t textWriter) way(w *Way) {
	name := w.Kind + " " + short(w.Name)
	t.line("%s%s", t.paint(bold, name), t.paint(faint, "  job "+clean(w.of())))
	t.line("%s  %s", t.paint(outcomeColor(w.Outcome), w.Outcome), clean(w.Reason))
	read := labelsRead(w.Steps)
	stage := ""
	for i := 0; i < len(w.Steps); i++ {
		if idle := idleRun(w.Steps[i:]); idle > 1 {
			t.head(&w.Steps[i], &stage, fmt.Sprintf("rules %d to %d", w.Steps[i].Rule.Number, w.Steps[i+idle-1].Rule.Number), "no effect")
			i += idle - 1
			continue
		}
		t.step(&w.Steps[i], &stage, read)
	}
}

// of says whose it is.
func (w *Way) of() string {
	if w.Source == "" {
		return w.Job
	}
	return w.Job + ", " + w.Source
}

func outcomeColor(outcome string) string {
	switch outcome {
	case Scraped, Delivered:
		return green
	case Duplicate, Unclear:
		return yellow
	}
	return red
}

// idleRun is how many steps from the first on are rules without effect, of one stage.
func idleRun(steps []Step) int {
	n := 0
	for n < len(steps) && steps[n].Idle() && steps[n].Stage == steps[0].Stage {
		n++
	}
	return n
}

// labelsRead are the labels that some rule looks at.
func labelsRead(steps []Step) map[string]bool {
	read := map[string]bool{"__address__": true}
	for i := range steps {
		if steps[i].Rule != nil {
			for _, name := range steps[i].Rule.Source {
				read[name] = true
			}
		}
	}
	return read
}

const stageWidth = 16

// head writes the first line of a step. The stage is only named where it changes.
func (t textWriter) head(s *Step, stage *string, name, what string) {
	shown := s.Stage
	if shown == *stage {
		shown = ""
	}
	*stage = s.Stage
	if s.Pipeline != "" {
		name = s.Pipeline + ": " + name
	}
	line := "  " + t.paint(faint, fmt.Sprintf("%-*s", stageWidth, shown)) + clean(name)
	if s.Rule != nil && s.Rule.Derived {
		line += t.paint(yellow, " (derived from scope)")
	}
	if what != "" {
		line += "  " + what
	}
	if s.Where != "" {
		line += "  " + t.paint(faint, clean(s.Where))
	}
	t.line("%s", strings.TrimRight(line, " "))
}

func (t textWriter) step(s *Step, stage *string, read map[string]bool) {
	what := ""
	if s.Rule != nil {
		what = clean(s.Rule.Sentence())
		switch {
		case s.Idle():
			what += ": no effect"
		case !s.Ended && s.Rule.Found() != "":
			what += t.paint(faint, " (it is "+short(s.Rule.Found())+")")
		}
	}
	t.head(s, stage, s.Name, what)
	indent := strings.Repeat(" ", stageWidth+4)
	for _, f := range s.Facts {
		t.line("%s%s %s", indent, t.paint(faint, clean(f.Name)+":"), short(f.Value))
	}
	t.labels(s, indent, read)
	for _, c := range s.Changes {
		t.change(indent, &c)
	}
	if s.Ended {
		t.line("%s%s", indent, t.paint(red, "✗ "+clean(s.Why)))
	}
}

// labels shows what rules start with, less what none reads, and what they come to. Those of other steps are in their changes.
func (t textWriter) labels(s *Step, indent string, read map[string]bool) {
	rest := 0
	for _, l := range s.Labels {
		switch s.Stage {
		case StageDiscovery:
			if !read[l.Name] {
				rest++
				continue
			}
		case StageRelabel:
			if changed(s.Changes, l.Name) {
				continue
			}
		default:
			return
		}
		t.line("%s  %s=%s", indent, clean(l.Name), strconv.Quote(short(l.Value)))
	}
	if rest > 0 {
		t.line("%s  %s", indent, t.paint(faint, "and "+counted(rest, "label that no rule reads", "labels that no rule reads")))
	}
}

func changed(changes []Change, name string) bool {
	for _, c := range changes {
		if c.Label == name {
			return true
		}
	}
	return false
}

func (t textWriter) change(indent string, c *Change) {
	name := clean(c.Label)
	switch c.Op {
	case "+":
		t.line("%s%s", indent, t.paint(green, "+ "+name+"="+strconv.Quote(short(c.After))))
	case "-":
		t.line("%s%s", indent, t.paint(red, "- "+name+"="+strconv.Quote(short(c.Before))))
	default:
		t.line("%s%s", indent, t.paint(yellow, "~ "+name+"="+strconv.Quote(short(c.Before))+" → "+strconv.Quote(short(c.After))))
	}
}

// Sentence says what a rule is about, on one line.
func (r *Rule) Sentence() string {
	source := strings.Join(r.Source, ", ")
	switch r.Action {
	case "keep", "drop":
		if r.Derived {
			return "keep what can be in scope::metrics"
		}
		return fmt.Sprintf("%s where %s matches %s", r.Action, source, excerpt(r.Regex))
	case "keepequal", "dropequal":
		return fmt.Sprintf("%s where %s equals %s", strings.TrimSuffix(r.Action, "equal"), source, r.Target)
	case "labelmap":
		return fmt.Sprintf("labelmap %s to %s", excerpt(r.Regex), r.Replacement)
	case "labeldrop", "labelkeep":
		return fmt.Sprintf("%s %s", r.Action, excerpt(r.Regex))
	}
	if len(r.Source) == 0 {
		return fmt.Sprintf("set %s to %q", r.Target, r.Replacement)
	}
	if r.Action == "replace" && r.Regex == "(.*)" && r.Replacement == "$1" {
		return fmt.Sprintf("set %s to %s", r.Target, source)
	}
	if r.Replacement == "" || r.Action != "replace" {
		return fmt.Sprintf("%s %s from %s", r.Action, r.Target, source)
	}
	return fmt.Sprintf("set %s to %q where %s matches %s", r.Target, r.Replacement, source, excerpt(r.Regex))
}

// Found says what the rule looked at, with the values; empty where there is nothing to say.
func (r *Rule) Found() string {
	switch {
	case len(r.Source) == 0:
		return ""
	case r.Action == "keepequal" || r.Action == "dropequal":
		return fmt.Sprintf("%q and %q", r.Value, r.Replacement)
	}
	return strconv.Quote(r.Value)
}
