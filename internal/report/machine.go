// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// jsonSuite is the shape of the JSON output:
//
//	{"name": "lint", "errors": 1, "warnings": 0, "infos": 0, "cases": [
//	  {"name": "a.yaml", "file": "a.yaml", "line": 0, "duration_seconds": 0.1, "passed": false, "findings": [
//	    {"rule": "…", "severity": "error", "file": "a.yaml", "line": 1, "column": 2, "end_column": 9, "message": "…", "why": "…", "fix": "…"}]}]}
//
// A list is never null, and `coverage` is there where it was asked for. Of a finding, only rule, severity and message are always there.
type jsonSuite struct {
	Name     string     `json:"name"`
	Errors   int        `json:"errors"`
	Warnings int        `json:"warnings"`
	Infos    int        `json:"infos"`
	Cases    []jsonCase `json:"cases"`
	Coverage any        `json:"coverage,omitempty"`
}

type jsonCase struct {
	Name     string    `json:"name"`
	File     string    `json:"file"`
	Line     int       `json:"line,omitempty"`
	Seconds  float64   `json:"duration_seconds"`
	Passed   bool      `json:"passed"`
	Findings []Finding `json:"findings"`
}

func writeJSON(w io.Writer, s Suite) error {
	out := jsonSuite{Name: s.Name, Errors: s.count(Error), Warnings: s.count(Warning), Infos: s.count(Info), Cases: make([]jsonCase, len(s.Cases)), Coverage: s.Coverage}
	for i, c := range s.Cases {
		findings := make([]Finding, len(c.Findings))
		for k, f := range c.Findings {
			f.Message = clean(f.Message, false)
			findings[k] = f
		}
		out.Cases[i] = jsonCase{Name: c.Name, File: c.File, Line: c.Line, Seconds: c.Duration.Seconds(), Passed: !c.Failed(), Findings: findings}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

var gitHubCommands = []string{Info: "notice", Warning: "warning", Error: "error"}

// What ends a command's text or its properties has to be escaped (actions/toolkit, packages/core/src/command.ts).
var (
	gitHubData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	gitHubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func writeGitHub(w io.Writer, s Suite) error {
	out := bufio.NewWriter(w)
	for _, c := range s.Cases {
		for _, f := range c.Findings {
			_, _ = fmt.Fprintf(out, "::%s %s::%s\n", gitHubCommands[f.Severity], gitHubProperties(f), gitHubData.Replace(body(f)))
		}
	}
	_, _ = fmt.Fprintln(out, summary(s))
	return out.Flush()
}

func gitHubProperties(f Finding) string {
	properties := []string{"title=" + gitHubProperty.Replace(f.Rule)}
	if f.File != "" {
		properties = append(properties, "file="+gitHubProperty.Replace(f.File))
	}
	for _, p := range []struct {
		name  string
		value int
	}{{"line", f.Line}, {"col", f.Column}, {"endColumn", f.EndColumn}} {
		if p.value > 0 {
			properties = append(properties, fmt.Sprintf("%s=%d", p.name, p.value))
		}
	}
	return strings.Join(properties, ",")
}

// body is all that a finding says.
func body(f Finding) string {
	text := clean(f.Message, false)
	if f.Why != "" {
		text += "\nwhy: " + f.Why
	}
	if f.Fix != "" {
		text += "\nfix: " + f.Fix
	}
	return text
}

// The elements that Jenkins, GitLab and GitHub's actions read of JUnit's XML.
type junitSuites struct {
	XMLName  xml.Name   `xml:"testsuites"`
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Time     string     `xml:"time,attr"`
	Suite    junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string         `xml:"name,attr"`
	Classname string         `xml:"classname,attr"`
	File      string         `xml:"file,attr,omitempty"`
	Line      int            `xml:"line,attr,omitempty"`
	Time      string         `xml:"time,attr"`
	Failures  []junitFailure `xml:"failure"`
	Out       string         `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func writeJUnit(w io.Writer, s Suite) error {
	out := junitSuite{Name: s.Name, Tests: len(s.Cases), Failures: s.failed()}
	total := 0.0
	for _, c := range s.Cases {
		total += c.Duration.Seconds()
		out.Cases = append(out.Cases, junitCaseOf(c))
	}
	out.Time = seconds(total)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Name: "runnerctl", Tests: out.Tests, Failures: out.Failures, Time: out.Time, Suite: out}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func junitCaseOf(c Case) junitCase {
	j := junitCase{Name: c.Name, Classname: c.File, File: c.File, Line: c.Line, Time: seconds(c.Duration.Seconds())}
	var notes []string
	for _, f := range c.Findings {
		text := body(f)
		if where := place(f); where != "" {
			text = where + ": " + text
		}
		if f.Severity == Info {
			notes = append(notes, text)
			continue
		}
		message, _, _ := strings.Cut(clean(f.Message, false), "\n")
		j.Failures = append(j.Failures, junitFailure{Message: message, Type: f.Rule, Text: text})
	}
	j.Out = strings.Join(notes, "\n")
	return j
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }
