// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
)

// rule is one known difference: why it is there, where it comes from, and a predicate that is as narrow as can be.
// Exactly one of the two functions is set.
type rule struct {
	reason string
	source string // upstream file and line, of the versions in go.mod

	only       []string // the exporters that it is about; empty: all
	outOfScope bool     // the product leaves it out on purpose: no exception of the exporter's

	// explains says whether this rule is the reason for the difference.
	explains func(e *evidence, d difference) bool
	// renames returns the labels under which the exporter delivers the series, or the same labels. The rule holds only
	// if that series was delivered, is not expected, and has the same samples, bit by bit.
	renames func(e *evidence, expected labels.Labels) labels.Labels
}

const (
	translator = "contrib pkg/translator/prometheusremotewrite/"
	receiver   = "contrib receiver/prometheusreceiver/internal/"
)

// Names of exporters, as of the files in config/exporter.
const (
	durable   = "durable_remote_write"    // remote write 2.0
	durableV1 = "durable_remote_write_v1" // remote write 1.0
	stock     = "prometheus_remote_write" // remote write 1.0
)

// rules are the known differences. What all exporters have is lost in the receiver, before any of them.
var rules = []rule{
	{
		reason: "le and quantile are numbers in OTLP and are formatted anew, 1.0 as 1 and 1e+06 as 1000000",
		source: translator + "helper.go", only: []string{stock}, renames: reformattedBound,
	},
	{
		reason: "names in UTF-8 are escaped to underscores: remote write 1.0 refuses translation_strategy NoTranslation",
		source: "contrib exporter/prometheusremotewriteexporter/config.go", only: []string{stock}, renames: underscored,
	},
	{
		reason: "buckets of OpenMetrics gauge histograms lose their suffix _bucket",
		source: receiver + "metadata.go", only: []string{stock}, renames: gaugeHistogramSuffix,
	},
	{
		reason: "_created samples of OpenMetrics become start timestamps, which remote write 1.0 does not carry",
		source: receiver + "metricfamily.go", only: []string{stock}, explains: created,
	},
	{
		reason: "target_info becomes resource attributes, its samples and stale markers are discarded",
		source: receiver + "transaction.go:149", explains: targetInfo,
	},
	{
		reason: "the stale marker of a classic histogram's _sum is not sent, because a stale point has no sum",
		source: translator + "helper.go", only: []string{stock}, explains: staleSum,
	},
	{
		reason: "a classic histogram or a summary without _count is discarded",
		source: receiver + "metricfamily.go:111 and 409", explains: withoutCount,
	},
	{
		reason: "a classic histogram whose buckets decrease is discarded",
		source: receiver + "metricfamily.go:161", explains: decreasingBuckets,
	},
	{
		reason: "counts of classic histograms and summaries become integers, fractions are discarded",
		source: receiver + "metricfamily.go:192, 208 and 423", explains: fraction,
	},
	{
		reason: "that a classic histogram has no +Inf bucket is discarded: it gets one",
		source: receiver + "metricfamily.go:195", explains: infBucket,
	},
	{
		reason: "that a summary has no _sum is discarded: it gets one",
		source: receiver + "metricfamily.go:420", explains: summarySum,
	},
	{
		reason: "of several samples of one series with different timestamps in one page all but the first are discarded",
		source: receiver + "metricfamily.go:549", explains: secondTimestamp,
	},
	{
		reason: "of two samples of one series in one page, with the labels in another order, the first is discarded instead of the last",
		source: receiver + "metricfamily.go:579 and 583", explains: lastDuplicate,
	},
	{
		reason: "negative zero loses its sign, because the encoder leaves out what compares equal to zero",
		source: "prometheus prompb/types.pb.go", only: []string{stock}, explains: negativeZero,
	},
	{
		reason: "a label name of underscores only is refused, and its series with it",
		source: "prometheus otlptranslator/label_namer.go", only: []string{stock}, explains: underscoreLabel,
	},
	{
		reason: "native histograms: a zero threshold of 0 becomes 1e-128",
		source: translator + "histograms.go", only: []string{stock}, explains: zeroThreshold,
	},
	{
		reason: "native histograms: that a histogram is a gauge is discarded",
		source: receiver + "metricfamily.go:72", explains: gaugeHint,
	},
	{
		reason: "which of the two is the _count and which the _sum of a classic gauge histogram is discarded: refused rather than stored under a wrong name",
		source: receiver + "metricfamily.go:583", only: []string{durable, durableV1}, explains: gaugeHistogramCount,
	},
	{
		reason: "the _count of a classic gauge histogram is discarded, its _sum loses the suffix",
		source: receiver + "metricfamily.go:583", only: []string{stock}, explains: mergedGaugeHistogram,
	},
	{
		reason: "the stale marker of a gauge whose name has become a histogram's is a stale histogram, because its type is discarded and looked up after the change",
		source: receiver + "transaction.go:188", explains: staleOfOtherType,
	},
	{
		reason: "native histograms: fractions of float counts are discarded, and what does not add up any more is refused rather than stored with wrong counts",
		source: receiver + "metricfamily.go:249", only: []string{durable, durableV1}, explains: floatHistogram,
	},
	{
		reason: "native histograms: float counts are cut to integers that no longer add up, the backend refuses the request, and the whole scrape is lost",
		source: receiver + "metricfamily.go:249", only: []string{stock}, explains: inconsistentHistogram,
	},
	{
		reason: "native histograms: exemplars of a series' first sample are lost, because Prometheus's handler of remote write 1.0 stores exemplars first",
		source: "prometheus storage/remote/write_handler.go", only: []string{stock, durableV1}, explains: firstNativeExemplar,
	},
	{
		reason: "honor_labels: where a page overrides the labels job, instance or app, the runner processor cannot tell the target and fails closed",
		source: "processors/runnerprocessor/target.go", outOfScope: true, explains: overriddenTarget,
	},
	{
		reason: "the label trace_id of an exemplar becomes a number, its case is discarded",
		source: receiver + "metricfamily.go:769", explains: traceIDCase,
	},
}

// evidence is what rules look at.
type evidence struct {
	facts
	want, got dataset
	wantOf    map[string]map[instant]point // samples by series
	gotOf     map[string]map[instant]point
}

func bySeries(d dataset) map[string]map[instant]point {
	all := map[string]map[instant]point{}
	for key, p := range d.samples {
		if all[key.series] == nil {
			all[key.series] = map[instant]point{}
		}
		all[key.series][key.at] = p
	}
	return all
}

// explain returns the differences that no rule explains, and a text for each rule that explained some: exceptions of the exporter,
// and what is out of scope.
func explain(exporter string, f facts, want, got dataset, all []difference) (unexplained []difference, exceptions, outOfScope []string) {
	e := &evidence{facts: f, want: want, got: got, wantOf: bySeries(want), gotOf: bySeries(got)}
	exceptions, outOfScope = []string{}, []string{}
	for _, r := range rules {
		if len(r.only) > 0 && !slices.Contains(r.only, exporter) {
			continue
		}
		before := len(all)
		if r.renames != nil {
			all = e.withoutRenamed(all, r)
		} else {
			all = slices.DeleteFunc(all, func(d difference) bool { return r.explains(e, d) })
		}
		explained := before - len(all)
		if explained == 0 {
			continue
		}
		text := fmt.Sprintf("%s: %s (%s)", plural(explained, "difference"), r.reason, r.source)
		if r.outOfScope {
			outOfScope = append(outOfScope, text)
		} else {
			exceptions = append(exceptions, text)
		}
	}
	return all, exceptions, outOfScope
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// withoutRenamed removes the differences of the series that were delivered under other labels, with equal samples.
func (e *evidence) withoutRenamed(all []difference, r rule) []difference {
	renamed := map[string]string{} // expected series to delivered series
	for name, ls := range e.want.series {
		delivered := r.renames(e, ls).String()
		if delivered == name || e.gotOf[name] != nil || e.wantOf[delivered] != nil {
			continue
		}
		if equalSamples(e.wantOf[name], e.gotOf[delivered]) {
			renamed[name] = delivered
		}
	}
	explained := map[string]bool{}
	for expected, delivered := range renamed {
		explained[expected], explained[delivered] = true, true
	}
	return slices.DeleteFunc(all, func(d difference) bool {
		if !explained[d.key.series] {
			return false
		}
		if d.exemplar == nil {
			return true
		}
		// An exemplar has to be there under the other labels.
		for expected, delivered := range renamed {
			counterpart := *d.exemplar
			switch d.key.series {
			case expected:
				counterpart.series = delivered
				_, found := e.got.exemplars[counterpart]
				return found
			case delivered:
				counterpart.series = expected
				_, found := e.want.exemplars[counterpart]
				return found
			}
		}
		return false
	})
}

func equalSamples(a, b map[instant]point) bool {
	if len(a) != len(b) {
		return false
	}
	for at, p := range a {
		if q, found := b[at]; !found || q != p {
			return false
		}
	}
	return true
}

// What rules ask about a difference.

func (d difference) name() string { return d.series.Get(model.MetricNameLabel) }
func (d difference) page() string { return d.series.Get(pageLabel) }

func (d difference) isSample(k kind) bool { return d.kind == k && d.exemplar == nil }

func isStale(p point) bool {
	return p.histogram == staleHistogram || p.histogram == "" && value.IsStaleNaN(math.Float64frombits(p.bits))
}

// family returns the family that a series belongs to by the page's types, and the suffix of the series' name.
func (e *evidence) family(d difference) (kind model.MetricType, suffix string) {
	types, name := e.types[d.page()], d.name()
	if kind, found := types[name]; found {
		return kind, ""
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count", "_created", "_total"} {
		if base, found := strings.CutSuffix(name, suffix); found && types[base] != "" {
			return types[base], suffix
		}
	}
	if kind, found := types[strings.TrimSuffix(name, "_created")+"_total"]; found {
		return kind, "_created"
	}
	return "", ""
}

// sibling returns the series of the same family and labels with another suffix.
func (d difference) sibling(suffix, newSuffix string) string {
	name := strings.TrimSuffix(d.name(), suffix) + newSuffix
	return labels.NewBuilder(d.series).Set(model.MetricNameLabel, name).Del("le", "quantile").Labels().String()
}

func isComplex(kind model.MetricType) bool {
	return kind == model.MetricTypeHistogram || kind == model.MetricTypeSummary
}

// Rules that rename.

func reformattedBound(_ *evidence, ls labels.Labels) labels.Labels {
	b := labels.NewBuilder(ls)
	for _, name := range []string{"le", "quantile"} {
		if bound, err := strconv.ParseFloat(ls.Get(name), 64); err == nil && !math.IsInf(bound, 0) {
			b.Set(name, strconv.FormatFloat(bound, 'f', -1, 64))
		}
	}
	return b.Labels()
}

func underscored(_ *evidence, ls labels.Labels) labels.Labels {
	b := labels.NewBuilder(ls)
	ls.Range(func(l labels.Label) {
		if l.Name == model.MetricNameLabel {
			b.Set(l.Name, toUnderscores(l.Value, model.LegacyValidation.IsValidMetricName(l.Value)))
			return
		}
		if valid := model.LegacyValidation.IsValidLabelName(l.Name); !valid {
			b.Del(l.Name).Set(toUnderscores(l.Name, valid), l.Value)
		}
	})
	return b.Labels()
}

func toUnderscores(name string, valid bool) string {
	if valid {
		return name
	}
	return strings.Map(func(r rune) rune {
		if r < 128 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_') {
			return r
		}
		return '_'
	}, name)
}

func gaugeHistogramSuffix(e *evidence, ls labels.Labels) labels.Labels {
	family, found := strings.CutSuffix(ls.Get(model.MetricNameLabel), "_bucket")
	if !found || e.types[ls.Get(pageLabel)][family] != model.MetricTypeGaugeHistogram {
		return ls
	}
	return labels.NewBuilder(ls).Set(model.MetricNameLabel, family).Labels()
}

// Rules about single samples.

func created(e *evidence, d difference) bool {
	kind, suffix := e.family(d)
	return d.isSample(missing) && suffix == "_created" && (kind == model.MetricTypeCounter || isComplex(kind))
}

func targetInfo(_ *evidence, d difference) bool {
	return d.isSample(missing) && d.name() == "target_info"
}

func staleSum(e *evidence, d difference) bool {
	kind, suffix := e.family(d)
	return d.isSample(missing) && isStale(d.want) && kind == model.MetricTypeHistogram && suffix == "_sum" &&
		isStaleAt(e.gotOf[d.sibling("_sum", "_count")], d.key.at)
}

func isStaleAt(samples map[instant]point, at instant) bool {
	p, found := samples[at]
	return found && isStale(p)
}

func withoutCount(e *evidence, d difference) bool {
	kind, suffix := e.family(d)
	part := suffix == "_bucket" || suffix == "_sum" || suffix == "" && d.series.Has("quantile")
	if !d.isSample(missing) || !isComplex(kind) || !part {
		return false
	}
	_, counted := e.wantOf[d.sibling(suffix, "_count")][d.key.at]
	return !counted
}

func decreasingBuckets(e *evidence, d difference) bool {
	kind, suffix := e.family(d)
	return d.isSample(missing) && kind == model.MetricTypeHistogram && !isStale(d.want) && e.decreases(d, suffix, d.key.at)
}

func (e *evidence) decreases(d difference, suffix string, at instant) bool {
	type bucket struct{ bound, count float64 }
	var buckets []bucket
	family := d.sibling(suffix, "_bucket")
	for name, ls := range e.want.series {
		bound, err := strconv.ParseFloat(ls.Get("le"), 64)
		p, found := e.wantOf[name][at]
		if err == nil && found && labels.NewBuilder(ls).Del("le").Labels().String() == family {
			buckets = append(buckets, bucket{bound, math.Float64frombits(p.bits)})
		}
	}
	slices.SortFunc(buckets, func(a, b bucket) int { return int(math.Copysign(1, a.bound-b.bound)) })
	for i := 1; i < len(buckets); i++ {
		if buckets[i].count < buckets[i-1].count {
			return true
		}
	}
	return false
}

func fraction(e *evidence, d difference) bool {
	kind, suffix := e.family(d)
	want := math.Float64frombits(d.want.bits)
	return d.isSample(different) && isComplex(kind) && (suffix == "_bucket" || suffix == "_count") &&
		want != math.Trunc(want) && d.got == floatPoint(math.Trunc(want))
}

func infBucket(e *evidence, d difference) bool {
	kind, suffix := e.family(d)
	count, counted := e.wantOf[d.sibling(suffix, "_count")][d.key.at]
	return d.isSample(extra) && kind == model.MetricTypeHistogram && suffix == "_bucket" && d.series.Get("le") == "+Inf" &&
		e.wantOf[d.key.series] == nil && counted && d.got == count
}

func summarySum(e *evidence, d difference) bool {
	kind, suffix := e.family(d)
	count, counted := e.wantOf[d.sibling(suffix, "_count")][d.key.at]
	return d.isSample(extra) && kind == model.MetricTypeSummary && suffix == "_sum" && e.wantOf[d.key.series] == nil &&
		counted && (isStale(d.got) && isStale(count) || d.got == floatPoint(0) && !isStale(count))
}

func secondTimestamp(e *evidence, d difference) bool {
	if !d.isSample(missing) || d.key.at.timestamp == 0 {
		return false
	}
	for _, p := range e.pages[d.page()] {
		for i, x := range p[exposedName(d.series)] {
			if i > 0 && x.timestamp != nil && *x.timestamp == d.key.at.timestamp && floatPoint(x.value) == d.want {
				return true
			}
		}
	}
	return false
}

func lastDuplicate(e *evidence, d difference) bool {
	samples := e.on(d.page(), d.key.at)[exposedName(d.series)]
	return d.isSample(different) && len(samples) > 1 &&
		d.want == floatPoint(samples[0].value) && d.got == floatPoint(samples[len(samples)-1].value)
}

func negativeZero(_ *evidence, d difference) bool {
	return d.isSample(different) && d.want == floatPoint(math.Copysign(0, -1)) && d.got == floatPoint(0)
}

var onlyUnderscores = regexp.MustCompile(`^_+$`)

func underscoreLabel(e *evidence, d difference) bool {
	found := false
	d.series.Range(func(l labels.Label) { found = found || onlyUnderscores.MatchString(l.Name) })
	return d.isSample(missing) && found && e.gotOf[d.key.series] == nil
}

func zeroThreshold(_ *evidence, d difference) bool {
	const zero = " within 0 "
	return d.isSample(different) && strings.Contains(d.want.histogram, zero) &&
		strings.Replace(d.want.histogram, zero, " within "+exactly(1e-128)+" ", 1) == d.got.histogram
}

func gaugeHint(_ *evidence, d difference) bool {
	return d.isSample(different) && d.want.histogram != "" && d.want.histogram == "gauge "+d.got.histogram
}

func gaugeHistogramCount(e *evidence, d difference) bool {
	kind, suffix := e.family(d)
	return d.isSample(missing) && kind == model.MetricTypeGaugeHistogram && (suffix == "_count" || suffix == "_sum")
}

func mergedGaugeHistogram(e *evidence, d difference) bool {
	if gaugeHistogramCount(e, d) {
		return true
	}
	kind, suffix := e.family(d)
	sum, found := e.wantOf[d.sibling("", "_sum")][d.key.at]
	return d.isSample(extra) && kind == model.MetricTypeGaugeHistogram && suffix == "" && found && sum == d.got
}

func staleOfOtherType(e *evidence, d difference) bool {
	kind, suffix := e.family(d)
	return d.isSample(different) && kind == model.MetricTypeHistogram && suffix == "" &&
		d.want == floatPoint(math.Float64frombits(value.StaleNaN)) && d.got.histogram != "" && isStale(d.got)
}

// floatHistogram holds for samples with fractions, where cutting them changes the sum of the buckets.
func floatHistogram(e *evidence, d difference) bool {
	if !d.isSample(missing) {
		return false
	}
	for _, x := range e.on(d.page(), d.key.at)[exposedName(d.series)] {
		if x.float != nil && histogramPoint(nil, x.float) == d.want {
			return !addsUp(x.float)
		}
	}
	return false
}

// addsUp says whether a histogram still adds up without the fractions of its counts.
func addsUp(h *histogram.FloatHistogram) bool {
	inBuckets := math.Trunc(h.ZeroCount)
	for _, counts := range [][]float64{h.PositiveBuckets, h.NegativeBuckets} {
		for _, c := range counts {
			inBuckets += math.Trunc(c)
		}
	}
	return inBuckets == math.Trunc(h.Count)
}

// inconsistentHistogram holds for every sample of a scrape of which nothing was stored.
func inconsistentHistogram(e *evidence, d difference) bool {
	if !d.isSample(missing) {
		return false
	}
	for name, ls := range e.got.series {
		if _, found := e.gotOf[name][d.key.at]; found && ls.Get(pageLabel) == d.page() {
			return false
		}
	}
	for _, samples := range e.on(d.page(), d.key.at) {
		for _, x := range samples {
			if x.float != nil && !addsUp(x.float) {
				return true
			}
		}
	}
	return false
}

func firstNativeExemplar(e *evidence, d difference) bool {
	if d.kind != missing || d.exemplar == nil {
		return false
	}
	for _, p := range e.pages[d.page()] {
		for _, x := range p[exposedName(d.series)] {
			return x.native != nil && slices.ContainsFunc(x.exemplars, func(x exemplar.Exemplar) bool {
				return x.Labels.String() == d.exemplar.labels && x.Ts == d.key.at.timestamp
			})
		}
	}
	return false
}

func overriddenTarget(e *evidence, d difference) bool {
	if !d.isSample(missing) || e.gotOf[d.key.series] != nil {
		return false
	}
	for _, ls := range e.want.series {
		if ls.Get(model.MetricNameLabel) == "up" && ls.Get(pageLabel) == d.page() {
			for _, name := range []string{"job", "instance", "app"} {
				if ls.Get(name) != d.series.Get(name) {
					return true
				}
			}
		}
	}
	return false
}

// traceIDCase compares the exemplars of both sides without regard to case; there has to be one that differs in nothing
// else.
func traceIDCase(e *evidence, d difference) bool {
	if d.exemplar == nil {
		return false
	}
	other := e.got
	if d.kind == extra {
		other = e.want
	}
	for key := range other.exemplars {
		if key.series == d.exemplar.series && key.at == d.exemplar.at && key.bits == d.exemplar.bits &&
			key.labels != d.exemplar.labels && strings.EqualFold(key.labels, d.exemplar.labels) &&
			strings.Contains(key.labels, `trace_id="`) {
			return true
		}
	}
	return false
}
