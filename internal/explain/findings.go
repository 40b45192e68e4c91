// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"strconv"
	"strings"

	"github.com/kubiyabot/otelcol-runner/internal/report"
)

// Rules of the findings.
const (
	ruleNotArriving   = "not-arriving"
	ruleNothingToShow = "nothing-matches"
)

// Suite returns a case for each way, with a finding where it does not arrive, at the place where it ended; and one case with one finding where
// nothing matches. As long as something arrives, the rest is worth no more than an Info.
func (e *Explanation) Suite() report.Suite {
	s := report.Suite{Name: "explain", Unit: "way"}
	severity := report.Error
	if e.Arrives() {
		severity = report.Info
	}
	for i := range e.Ways {
		w := &e.Ways[i]
		c := report.Case{Name: w.Kind + " " + short(w.Name) + " of " + clean(w.of()), File: e.File}
		if !w.arrives() {
			f := report.Finding{Rule: ruleNotArriving, Severity: severity, File: e.File, Message: c.Name + ": " + w.Outcome + ": " + clean(w.Reason)}
			if file, line, column, found := splitPlace(w.ended()); found {
				f.File, f.Line, f.Column = file, line, column
			}
			c.Findings = append(c.Findings, f)
		}
		s.Cases = append(s.Cases, c)
	}
	if len(e.Ways) == 0 {
		f := report.Finding{Rule: ruleNothingToShow, Severity: severity, Message: "nothing matches " + clean(e.Asked) + " at " + e.At}
		if len(e.Nearest) > 0 {
			f.Fix = "the nearest there is: " + clean(strings.Join(e.Nearest, "; "))
		}
		s.Cases = append(s.Cases, report.Case{Name: clean(e.Asked), File: e.File, Findings: []report.Finding{f}})
	}
	return s
}

// arrives says whether it is scraped or delivered.
func (w *Way) arrives() bool { return w.Outcome == Scraped || w.Outcome == Delivered }

// ended is the place of the last step that ended it. What no line of a file has ended, such as a target that does not answer, has that of
// the first step, which is the job.
func (w *Way) ended() string {
	place := ""
	for i := range w.Steps {
		s := &w.Steps[i]
		if s.Where != "" && (place == "" || s.Ended) {
			place = s.Where
		}
	}
	return place
}

// splitPlace takes file:line:column apart. The file may have colons of its own.
func splitPlace(place string) (file string, line, column int, found bool) {
	parts := strings.Split(place, ":")
	last := len(parts) - 1
	if last < 2 {
		return "", 0, 0, false
	}
	line, lineErr := strconv.Atoi(parts[last-1])
	column, columnErr := strconv.Atoi(parts[last])
	return strings.Join(parts[:last-1], ":"), line, column, lineErr == nil && columnErr == nil
}
