// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"regexp/syntax"
	"strings"

	"github.com/prometheus/prometheus/model/relabel"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
)

func seriesRules() []Rule {
	const static = "static_configs: [{targets: ['tool-manager:3001']}]\n"
	return []Rule{
		{
			ID: "histogram-part", Severity: report.Warning,
			Summary: "A rule that drops the _count or _bucket series of a histogram at the scrape and leaves the others.",
			Why: "The collector's receiver puts a histogram together from its series. Without _count it discards the whole family, without a word; without " +
				"_bucket one bucket is left (le=\"+Inf\") and quantiles are gone.",
			Fix:   "drop or keep the family as a whole: name(_bucket|_sum|_count)",
			Bad:   ofJob(static + "metric_relabel_configs:\n  - {action: drop, source_labels: [__name__], regex: .+_count}\n"),
			Good:  ofJob(static + "metric_relabel_configs:\n  - {action: drop, source_labels: [__name__], regex: 'http_request_duration_seconds(_bucket|_sum|_count)'}\n"),
			check: checkHistogramPart,
		},
	}
}

func checkHistogramPart(c *checker) {
	for _, j := range c.jobs {
		for _, r := range j.metricRelabel {
			if !usable(r) || len(r.Config.SourceLabels) != 1 || r.Config.SourceLabels[0] != "__name__" {
				continue
			}
			switch r.Config.Action {
			case relabel.Drop:
				c.checkDroppedPart(r)
			case relabel.Keep:
				c.checkKeptPart(r)
			}
		}
	}
}

func (c *checker) checkDroppedPart(r configfile.Rule) {
	matches := r.Config.Regex.MatchString
	for _, name := range samples(r.Config.Regex.String()) {
		if base, is := strings.CutSuffix(name, "_count"); is && matches(name) && !matches(base+"_bucket") && !matches(base) {
			c.add(regexNode(r), "drops %s and leaves others of the family: where it is a histogram or a summary, the receiver discards all of it", shown(name))
			return
		}
		if base, is := strings.CutSuffix(name, "_bucket"); is && matches(name) && !matches(base+"_count") {
			c.add(regexNode(r), "drops %s but not its _count: one bucket is left of the histogram", shown(name))
			return
		}
	}
}

func (c *checker) checkKeptPart(r configfile.Rule) {
	matches := r.Config.Regex.MatchString
	for _, name := range samples(r.Config.Regex.String()) {
		for _, part := range []string{"_bucket", "_sum"} {
			if base, is := strings.CutSuffix(name, part); is && matches(name) && !matches(base+"_count") {
				c.add(regexNode(r), "keeps %s but not its _count: the receiver discards the whole family", shown(name))
				return
			}
		}
	}
}

// maxSamples bounds the names that are made up for one regex.
const maxSamples = 200

// samples returns texts that match an expression, one or more for each of its alternatives.
func samples(expression string) []string {
	parsed, err := syntax.Parse(expression, syntax.Perl|syntax.DotNL)
	if err != nil {
		return nil
	}
	return sample(parsed)
}

func sample(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{string(re.Rune)}
	case syntax.OpCharClass:
		if len(re.Rune) == 0 {
			return nil
		}
		return []string{string(re.Rune[0])}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return []string{"x"}
	case syntax.OpStar, syntax.OpPlus, syntax.OpCapture, syntax.OpRepeat:
		return sample(re.Sub[0])
	case syntax.OpQuest:
		return append(sample(re.Sub[0]), "")
	case syntax.OpAlternate:
		var out []string
		for _, sub := range re.Sub {
			if out = append(out, sample(sub)...); len(out) > maxSamples {
				return out[:maxSamples]
			}
		}
		return out
	case syntax.OpConcat:
		out := []string{""}
		for _, sub := range re.Sub {
			out = product(out, sample(sub))
		}
		return out
	}
	return []string{""}
}

func product(heads, tails []string) []string {
	var out []string
	for _, head := range heads {
		for _, tail := range tails {
			if len(out) == maxSamples {
				return out
			}
			out = append(out, head+tail)
		}
	}
	return out
}
