// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SGR sequences.
const (
	reset = "\x1b[0m"
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
)

var severityColors = []string{Info: "\x1b[36m", Warning: "\x1b[33m", Error: "\x1b[31m"}

type textWriter struct {
	*bufio.Writer
	Options
}

func writeText(w io.Writer, s Suite, o Options) error {
	t := textWriter{bufio.NewWriter(w), o}
	for _, c := range s.Cases {
		for _, f := range c.Findings {
			t.finding(f)
		}
	}
	t.print(summary(s) + "\n")
	return t.Flush()
}

// print writes text; the buffered writer keeps the first error for Flush.
func (t textWriter) print(text string) { _, _ = t.WriteString(text) }

// paint puts a text in a color where colors are allowed.
func (t textWriter) paint(color, text string) string {
	if !t.Color {
		return text
	}
	return color + text + reset
}

func (t textWriter) finding(f Finding) {
	message := clean(f.Message, t.Color)
	if !t.Excerpts && f.Fix != "" {
		message += ": " + clean(f.Fix, false)
	}
	first, rest, several := strings.Cut(message, "\n")
	if where := place(f); where != "" {
		t.print(t.paint(bold, clean(where, false)+":") + " ")
	}
	t.print(t.paint(severityColors[f.Severity], f.Severity.String()+":") + " " + first + " " + t.paint(faint, "("+f.Rule+")") + "\n")
	if several {
		t.print("    " + strings.ReplaceAll(strings.TrimSuffix(rest, "\n"), "\n", "\n    ") + "\n")
	}
	if t.Excerpts {
		t.excerpt(f)
	}
}

// place writes file:line:column as far as it is known.
func place(f Finding) string {
	switch {
	case f.File == "" || f.Line == 0:
		return f.File
	case f.Column == 0:
		return fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
}

// excerpt shows the line, and what more there is to say.
func (t textWriter) excerpt(f Finding) {
	if f.Source != "" && f.Column > 0 {
		source, column, length := window(clean(f.Source, false), f.Column, f.EndColumn-f.Column)
		t.print(fmt.Sprintf("%s %s\n", t.paint(faint, fmt.Sprintf("%6d |", f.Line)), source))
		caret := strings.Repeat(" ", column-1) + t.paint(severityColors[f.Severity], "^"+strings.Repeat("~", length-1))
		t.print(fmt.Sprintf("%s %s\n", t.paint(faint, "       |"), caret))
	}
	if f.Why != "" {
		t.print("    " + t.paint(faint, "why: ") + clean(f.Why, false) + "\n")
	}
	if f.Fix != "" {
		t.print("    " + t.paint(faint, "fix: ") + clean(f.Fix, false) + "\n")
	}
	t.print("\n")
}

// window cuts a long line down to what is around a column. Tabs become spaces, so that the caret stands below its character.
func window(source string, column, length int) (part string, at, long int) {
	const width, before = 110, 40
	runes := []rune(strings.ReplaceAll(source, "\t", " "))
	column = min(column, len(runes)+1)
	start := 0
	if len(runes) > width && column > before {
		start = column - before
	}
	end := min(len(runes), start+width)
	part, at = string(runes[start:end]), column-start
	if start > 0 {
		part, at = "…"+part, at+1
	}
	return part, at, min(max(1, length), max(1, utf8.RuneCountInString(part)-at+1))
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// clean takes out what could steer a terminal: control characters, and colors unless they are allowed.
func clean(text string, color bool) string {
	if !color {
		text = sgr.ReplaceAllString(text, "")
	}
	var allowed [][]int
	if color {
		allowed = sgr.FindAllStringIndex(text, -1)
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == '\n' || r == '\t' || !unicode.IsControl(r):
			b.WriteRune(r)
		case len(allowed) > 0 && allowed[0][0] == i:
			allowed = allowed[1:]
			b.WriteRune(r)
		default:
			b.WriteRune(utf8.RuneError)
		}
	}
	return b.String()
}

// summary says in one line what came out.
func summary(s Suite) string {
	if s.Summary != "" {
		return s.Summary
	}
	if len(s.Cases) == 0 {
		return "no " + s.Unit + "s"
	}
	var parts []string
	for severity := Error; severity >= Info; severity-- {
		if n := s.count(severity); n > 0 {
			parts = append(parts, plural(n, severity.String()))
		}
	}
	if len(parts) == 0 {
		return plural(len(s.Cases), s.Unit) + ", no findings"
	}
	if s.failed() == 0 {
		return fmt.Sprintf("%s, %s", plural(len(s.Cases), s.Unit), strings.Join(parts, ", "))
	}
	return fmt.Sprintf("%s, %d failed: %s", plural(len(s.Cases), s.Unit), s.failed(), strings.Join(parts, ", "))
}

func plural(n int, noun string) string {
	if n == 1 || noun == "info" {
		return fmt.Sprintf("%d %s", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
