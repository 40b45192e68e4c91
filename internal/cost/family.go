// SPDX-License-Identifier: Apache-2.0

package cost

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

const bucketSuffix = "_bucket"

func isBucket(ls labels.Labels) bool {
	return strings.HasSuffix(ls.Get(model.MetricNameLabel), bucketSuffix)
}

// bucketsInOrder puts the buckets of each classic histogram from the lowest to the highest bound. The order of labels is that of
// texts, in which +Inf is first and 10 is below 5.
func bucketsInOrder(series []scrapetest.Series) []scrapetest.Series {
	bounds := make([]float64, len(series))
	order := make([]int, len(series))
	for i := range series {
		order[i] = i
		bounds[i] = math.Inf(-1)
		if isBucket(series[i].Labels) {
			if le, err := strconv.ParseFloat(series[i].Labels.Get(model.BucketLabel), 64); err == nil {
				bounds[i] = le
			}
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(bounds[a], bounds[b]) })
	sorted := make([]scrapetest.Series, len(series))
	for i, from := range order {
		sorted[i] = series[from]
	}
	return sorted
}

// families returns the name under which each metric is counted: the _bucket, _sum and _count of a classic histogram are one.
func families(series []Series) func(name string) string {
	histograms := map[string]bool{}
	for i := range series {
		if base, ok := strings.CutSuffix(series[i].Labels.Get(model.MetricNameLabel), bucketSuffix); ok && series[i].Labels.Has(model.BucketLabel) {
			histograms[base] = true
		}
	}
	return func(name string) string {
		for _, suffix := range []string{bucketSuffix, "_sum", "_count"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && histograms[base] {
				return base
			}
		}
		return name
	}
}
