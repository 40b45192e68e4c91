// SPDX-License-Identifier: Apache-2.0

package record

import (
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// anonymiser replaces values by others that behave alike. It remembers how series changed from sample to sample.
type anonymiser struct {
	changes map[string]*change // by page and series
}

// change is how often a series, or a histogram, has changed.
type change struct {
	last float64
	// n starts at 1. A cumulative one grows with it, and starts again with it.
	n float64
}

func newAnonymiser() *anonymiser { return &anonymiser{changes: map[string]*change{}} }

// next notes a value and returns how often it has changed.
func (a *anonymiser) next(key string, value float64, cumulative bool) float64 {
	c, known := a.changes[key]
	switch {
	case !known:
		c = &change{n: 1}
		a.changes[key] = c
	case cumulative && value < c.last:
		c.n = 1
	case value != c.last:
		c.n++
	}
	c.last = value
	return c.n
}

// distribution is a classic histogram or a summary: samples of one page that belong together.
type distribution struct {
	key        string
	buckets    []*line // of the histogram, or quantiles of the summary, by their bounds
	sum, count *line
}

// page replaces the values of a page's samples.
func (a *anonymiser) page(key string, lines []line, types map[string]model.MetricType) {
	parts := map[string]*distribution{}
	for i := range lines {
		l := &lines[i]
		if !l.isSample() {
			continue
		}
		if l.exemplar {
			l.cutExemplar()
		}
		if name := l.labels.Get(model.MetricNameLabel); l.labels.Has(labels.BucketLabel) && strings.HasSuffix(name, "_bucket") ||
			l.labels.Has("quantile") && types[name] == model.MetricTypeSummary {
			d := part(parts, key, strings.TrimSuffix(name, "_bucket"), l.labels)
			d.buckets = append(d.buckets, l)
		}
	}
	for i := range lines {
		l := &lines[i]
		if l.isSample() && !l.labels.Has(labels.BucketLabel) && !l.labels.Has("quantile") {
			a.simple(key, l, types, parts)
		}
	}
	for _, d := range parts {
		a.distribution(d)
	}
}

// part returns the distribution of a series, and makes it.
func part(parts map[string]*distribution, page, family string, ls labels.Labels) *distribution {
	own := labels.NewBuilder(ls).Del(labels.BucketLabel, "quantile").Set(model.MetricNameLabel, family).Labels().String()
	d := parts[own]
	if d == nil {
		d = &distribution{key: page + "\x00" + own}
		parts[own] = d
	}
	return d
}

// simple replaces the value of a sample that stands for itself. Sums and counts of what has buckets or quantiles wait for these.
func (a *anonymiser) simple(page string, l *line, types map[string]model.MetricType, parts map[string]*distribution) {
	name := l.labels.Get(model.MetricNameLabel)
	for _, suffix := range []string{"_sum", "_count", "_gsum", "_gcount"} {
		family, found := strings.CutSuffix(name, suffix)
		if !found {
			continue
		}
		own := labels.NewBuilder(l.labels).Set(model.MetricNameLabel, family).Labels().String()
		d := parts[own]
		if d == nil {
			break
		}
		if strings.HasSuffix(suffix, "sum") {
			d.sum = l
		} else {
			d.count = l
		}
		return
	}
	value, err := parseValue(l.value)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) || strings.HasSuffix(name, "_created") {
		return
	}
	key := page + "\x00" + l.series
	cumulative := isCumulative(name, types)
	n := a.next(key, value, cumulative)
	switch {
	case value == 0:
	case cumulative:
		l.setValue(n * pick(key, 1000))
	case value != 1:
		l.setValue(math.Copysign(1+pick(key+format(n), 1000), value))
	}
}

func isCumulative(name string, types map[string]model.MetricType) bool {
	for _, family := range []string{name, strings.TrimSuffix(name, "_total"), strings.TrimSuffix(name, "_sum"), strings.TrimSuffix(name, "_count")} {
		switch types[family] {
		case model.MetricTypeCounter, model.MetricTypeHistogram, model.MetricTypeSummary:
			return true
		case model.MetricTypeGauge, model.MetricTypeInfo, model.MetricTypeStateset, model.MetricTypeGaugeHistogram:
			return false
		default: // unknown: the name says it
		}
	}
	return strings.HasSuffix(name, "_total") || strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count")
}

// distribution gives a histogram or summary values that agree with each other.
func (a *anonymiser) distribution(d *distribution) {
	isHistogram := d.buckets[0].labels.Has(labels.BucketLabel)
	slices.SortStableFunc(d.buckets, func(x, y *line) int {
		return compareFloats(bound(x), bound(y))
	})
	count := d.count
	if count == nil && isHistogram {
		count = d.buckets[len(d.buckets)-1]
	}
	n := 1.0
	if count != nil {
		observed, err := parseValue(count.value)
		if err != nil {
			return
		}
		n = a.next(d.key, observed, true)
		if observed == 0 {
			n = 0
		}
	}
	if isHistogram {
		a.histogram(d, n)
		return
	}
	for i, l := range d.buckets {
		set(l, float64(i+1)*pick(d.key, 100))
	}
	set(d.count, n*pick(d.key, 1000))
	set(d.sum, n*pick(d.key, 1000)*pick(d.key, 100))
}

// histogram counts up from bucket to bucket. A bucket that got nothing gets nothing.
func (a *anonymiser) histogram(d *distribution, n float64) {
	var total, sum, before, middle float64
	for _, l := range d.buckets {
		value, err := parseValue(l.value)
		if err == nil && value > before {
			before = value
			if b := bound(l); !math.IsInf(b, 0) {
				middle = b
			}
			share := pick(d.key+l.series, 20) * n
			total += share
			sum += share * middle
		}
		l.setValue(total)
	}
	set(d.count, total)
	set(d.sum, sum)
}

// bound is a bucket's le, or a quantile.
func bound(l *line) float64 {
	text := l.labels.Get(labels.BucketLabel)
	if text == "" {
		text = l.labels.Get("quantile")
	}
	b, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.Inf(1)
	}
	return b
}

func compareFloats(x, y float64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	default:
		return 0
	}
}

// set replaces the value of a sample, unless it is NaN or an infinity.
func set(l *line, value float64) {
	if l == nil {
		return
	}
	if old, err := parseValue(l.value); err != nil || math.IsNaN(old) || math.IsInf(old, 0) {
		return
	}
	l.setValue(value)
}

func parseValue(text string) (float64, error) { return strconv.ParseFloat(text, 64) }

func format(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

// pick chooses a number from 1 to limit by a text.
func pick(text string, limit uint32) float64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text)) // never fails
	return float64(1 + h.Sum32()%limit)
}
