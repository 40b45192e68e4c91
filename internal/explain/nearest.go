// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"slices"

	"github.com/prometheus/prometheus/util/strutil"
)

// maxNearest is how many names are proposed.
const maxNearest = 10

// nearest returns the names most like one, each once, the nearest first.
func nearest(name string, all []string) []string {
	type scored struct {
		name  string
		score float64
	}
	matcher := strutil.NewJaroWinklerMatcher(name)
	seen := map[string]bool{}
	var list []scored
	for _, n := range all {
		if n != "" && !seen[n] {
			seen[n] = true
			list = append(list, scored{n, matcher.Score(n)})
		}
	}
	slices.SortFunc(list, func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.name, b.name)) })
	names := make([]string, 0, maxNearest)
	for _, s := range list[:min(len(list), maxNearest)] {
		names = append(names, show(s.name))
	}
	return names
}
