// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/promql"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/processors/runnerprocessor"
)

func (p *parsing) promql(c *Case, key, value *yaml.Node) error {
	expr, err := p.text(key, "an expression")
	if err != nil {
		return err
	}
	if _, err := promqlParser.ParseExpr(expr); err != nil {
		return p.errorAt(key, "%q is no PromQL: %v", short(expr), withoutPosition(err))
	}
	text, err := p.text(value, "the result of an expression")
	if err != nil {
		return err
	}
	var check func(*view) verdict
	switch text {
	case "true", "false":
		check = func(v *view) verdict { return v.truth(expr, text == "true") }
	default:
		want, err := parseQuantity(text)
		if err != nil {
			return p.errorAt(value, "%v, nor true or false", err)
		}
		check = func(v *view) verdict { return v.one(expr, want) }
	}
	c.add(expectation{kind: kindPromQL, at: key, value: value, check: check})
	return nil
}

// truth wants that an expression gives something, or nothing.
func (v *view) truth(expr string, want bool) verdict {
	samples, scalar, err := v.evaluate(expr)
	if err != nil {
		return verdict{message: fmt.Sprintf("%s: %v", expr, err)}
	}
	have := len(samples) > 0
	if scalar {
		have = samples[0].F != 0
	}
	if have == want {
		return verdict{}
	}
	result := verdict{message: fmt.Sprintf("%s: expected %s, got %s", expr, wanted(fmt.Sprint(want)), got(fmt.Sprint(have))), actual: fmt.Sprint(have)}
	if have && !scalar {
		result.message += sampleLines(samples)
	}
	return result
}

// one wants that an expression gives one sample with a value.
func (v *view) one(expr string, want quantity) verdict {
	samples, _, err := v.evaluate(expr)
	switch {
	case err != nil:
		return verdict{message: fmt.Sprintf("%s: %v", expr, err)}
	case len(samples) != 1:
		return verdict{message: fmt.Sprintf("%s: expected one sample with the value %s, got %s%s", expr, wanted(want.String()), got(fmt.Sprintf("%d samples", len(samples))), sampleLines(samples))}
	case samples[0].H != nil:
		return verdict{message: fmt.Sprintf("%s: expected %s, got %s", expr, wanted(want.String()), got("a histogram"))}
	}
	return compare(expr, want, samples[0].F)
}

func (v *view) evaluate(expr string) (samples promql.Vector, scalar bool, err error) {
	result, err := v.result.Query(v.ctx, expr, v.at)
	if err != nil {
		return nil, false, err
	}
	switch value := result.Value.(type) {
	case promql.Vector:
		return value, false, nil
	case promql.Scalar:
		return promql.Vector{{F: value.V}}, true, nil
	}
	return nil, false, fmt.Errorf("it gives a %s, which cannot be expected: use an expression that gives a vector or a scalar", result.Value.Type())
}

func sampleLines(samples promql.Vector) string {
	lines := make([]string, len(samples))
	for i := range samples {
		s := scrapetest.Sample{F: samples[i].F, H: samples[i].H}
		lines[i] = seriesText(samples[i].Metric) + " " + got(sampleText(&s))
	}
	return listed(lines, maxListed)
}

// outOfScope is what a reason in `drops` can be in place of the ones that it sums up.
const outOfScope = "out_of_scope"

var outOfScopeReasons = []string{"namespace", "object_namespace", "component", "metric"}

func (p *parsing) drops(c *Case, key, value *yaml.Node) error {
	known := append(runnerprocessor.DropReasons(), outOfScope)
	if !slices.Contains(known, key.Value) {
		return p.unknown(key, kindDrops, known)
	}
	want, err := p.quantityAt(value, "a number of points")
	if err != nil {
		return err
	}
	reasons := []string{key.Value}
	if key.Value == outOfScope {
		reasons = outOfScopeReasons
	}
	c.add(expectation{kind: kindDrops, at: key, value: value, check: func(v *view) verdict {
		counted, err := v.drops()
		if err != nil {
			return verdict{message: "drops cannot be counted: " + err.Error()}
		}
		var have int64
		for _, reason := range reasons {
			have += counted.Drops(v.at)[reason]
		}
		return compare("points dropped as "+key.Value, want, float64(have))
	}})
	return nil
}
