// SPDX-License-Identifier: Apache-2.0

// Package report holds what a check finds and writes it: as text for people, as JSON, as workflow commands of GitHub Actions,
// and as JUnit XML. A failed test is a finding as well.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Severity is how much a finding matters.
type Severity int

// The severities. An Info alone fails nothing.
const (
	Info Severity = iota + 1
	Warning
	Error
)

var severityNames = []string{Info: "info", Warning: "warning", Error: "error"}

// String returns info, warning or error.
func (s Severity) String() string {
	if s < Info || s > Error {
		return fmt.Sprintf("Severity(%d)", int(s))
	}
	return severityNames[s]
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Severity) UnmarshalText(text []byte) error {
	i := slices.Index(severityNames, string(text))
	if i < int(Info) {
		return fmt.Errorf("severity %q is not known: use info, warning or error", text)
	}
	*s = Severity(i)
	return nil
}

// Finding is one thing that was found at one place.
type Finding struct {
	// Rule is the id of what was broken: unanchored-regex. Of a failed test it is the kind of expectation.
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	// File is the path as the user gave it; empty stands for the place of its Case.
	File string `json:"file,omitempty"`
	// Line and Column count from 1, columns in characters; 0 is unknown. EndColumn is behind the last character on the line.
	Line      int `json:"line,omitempty"`
	Column    int `json:"column,omitempty"`
	EndColumn int `json:"end_column,omitempty"`
	// Message says what is wrong, in one line or more. It may hold colours (SGR sequences), which are taken out where they are
	// not wanted.
	Message string `json:"message"`
	// Why says in a sentence why that matters; may be empty.
	Why string `json:"why,omitempty"`
	// Fix says what to do about it; may be empty.
	Fix string `json:"fix,omitempty"`
	// Source is the text of the line, to be shown below the message on a terminal; empty where it must not be shown.
	Source string `json:"-"`
}

// Case is what was checked: a file, or a test.
type Case struct {
	Name     string
	File     string
	Line     int // where a test stands; 0 for a file
	Duration time.Duration
	Findings []Finding
}

// Failed says whether there is a finding that is more than an Info.
func (c Case) Failed() bool {
	return slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.Severity > Info })
}

// Suite is everything that one command checked.
type Suite struct {
	// Name is the command: lint.
	Name string
	// Unit is what a case is called in the summary: file, case.
	Unit  string
	Cases []Case
	// Summary is the last line of the text; empty for one that counts cases and findings.
	Summary string
	// Coverage is what of the configurations was exercised, for the JSON output; nil where nobody asked.
	Coverage any
}

// Failed says whether any case failed.
func (s Suite) Failed() bool { return slices.ContainsFunc(s.Cases, Case.Failed) }

// count returns how many findings of a severity there are.
func (s Suite) count(severity Severity) int {
	n := 0
	for _, c := range s.Cases {
		for _, f := range c.Findings {
			if f.Severity == severity {
				n++
			}
		}
	}
	return n
}

// failed returns how many cases failed.
func (s Suite) failed() int {
	n := 0
	for _, c := range s.Cases {
		if c.Failed() {
			n++
		}
	}
	return n
}

// placed returns the suite with a file for each finding.
func (s Suite) placed() Suite {
	s.Cases = slices.Clone(s.Cases)
	for i := range s.Cases {
		c := &s.Cases[i]
		c.Findings = slices.Clone(c.Findings)
		for k := range c.Findings {
			if f := &c.Findings[k]; f.File == "" {
				f.File, f.Line = c.File, c.Line
			}
		}
	}
	return s
}

// Formats lists what Write knows.
func Formats() []string { return []string{"text", "json", "github", "junit"} }

// CheckFormat returns an error that says which formats there are, when format is none of them.
func CheckFormat(format string) error {
	if slices.Contains(Formats(), format) {
		return nil
	}
	return fmt.Errorf("--output %q is not known: use %s", format, strings.Join(Formats(), ", "))
}

// Options are for the format text.
type Options struct {
	// Color allows SGR sequences.
	Color bool
	// Excerpts shows for each finding the line of the file, why it matters and what to do, on lines of their own. Otherwise a
	// finding is one line, as compilers write it, unless its message has several.
	Excerpts bool
}

// Write writes a suite in one of the Formats.
func Write(w io.Writer, format string, s Suite, o Options) error {
	s = s.placed()
	switch format {
	case "text":
		return writeText(w, s, o)
	case "json":
		return writeJSON(w, s)
	case "github":
		return writeGitHub(w, s)
	case "junit":
		return writeJUnit(w, s)
	}
	return CheckFormat(format)
}
