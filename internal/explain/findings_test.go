// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kubiyabot/otelcol-runner/internal/report"
)

func TestFindingsStandWhereTheWayEnded(t *testing.T) {
	e := &Explanation{File: "a:b.yaml", Ways: []Way{
		{Kind: "series", Name: "m\x1b[2J", Job: "j", Outcome: Dropped, Reason: "Rule 2.", Steps: []Step{
			{Stage: StageDiscovery, Where: "a:b.yaml:3:5"}, {Stage: StageMetric, Where: "a:b.yaml:9:7", Ended: true}, {Stage: StageExporter, Where: "a:b.yaml:20:1"},
		}},
		{Kind: "target", Name: "t", Job: "j", Source: "pod/runner/p", Outcome: Failed, Reason: "No answer.", Steps: []Step{
			{Stage: StageDiscovery, Where: "a:b.yaml:3:5"}, {Stage: StageRelabel, Where: "a:b.yaml:4:5"}, {Stage: StageScrape, Ended: true},
		}},
		{Kind: "target", Name: "u", Job: "j", Outcome: Unclear, Reason: "Believe it."},
	}}
	findings := func() (all []report.Finding) {
		for _, c := range e.Suite().Cases {
			all = append(all, c.Findings...)
		}
		return all
	}
	assert.Equal(t, []report.Finding{
		{Rule: "not-arriving", Severity: report.Error, File: "a:b.yaml", Line: 9, Column: 7, Message: "series m\uFFFD[2J of j: dropped: Rule 2."},
		{Rule: "not-arriving", Severity: report.Error, File: "a:b.yaml", Line: 3, Column: 5, Message: "target t of j, pod/runner/p: failed: No answer."},
		{Rule: "not-arriving", Severity: report.Error, File: "a:b.yaml", Message: "target u of j: unclear: Believe it."},
	}, findings())

	e.Ways = append(e.Ways, Way{Kind: "target", Name: "v", Job: "j", Outcome: Scraped})
	assert.Len(t, e.Suite().Cases, 4)
	assert.False(t, e.Suite().Failed(), "one arrives")
	assert.Len(t, findings(), 3)
}

func TestFindingWhereNothingMatches(t *testing.T) {
	e := &Explanation{File: "a.yaml", Asked: "upp", At: "0s", Nearest: []string{"up", "uptime"}}
	assert.Equal(t, []report.Finding{{Rule: "nothing-matches", Severity: report.Error, Message: "nothing matches upp at 0s", Fix: "the nearest there is: up; uptime"}}, e.Suite().Cases[0].Findings)
	assert.True(t, e.Suite().Failed())
}
