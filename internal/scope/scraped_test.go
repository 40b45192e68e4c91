// SPDX-License-Identifier: Apache-2.0

package scope

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/regexp/syntax"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func metrics(t testing.TB, profile string, include, exclude []Pattern) *Metrics {
	t.Helper()
	m, err := NewMetrics(profile, include, exclude)
	require.NoError(t, err)
	return m
}

func seriesRegexp(t testing.TB, scopes ...*Metrics) *regexp.Regexp {
	t.Helper()
	re, ok := SeriesRegexp(scopes...)
	require.True(t, ok)
	return regexp.MustCompile("^(?s:" + re + ")$")
}

func TestSeriesRegexp(t *testing.T) {
	f := func(include, exclude []Pattern, keeps, drops string) {
		t.Helper()
		re := seriesRegexp(t, metrics(t, "none", include, exclude))
		for _, name := range strings.Fields(keeps) {
			assert.True(t, re.MatchString(name), "%s is dropped by %s", name, re)
		}
		for _, name := range strings.Fields(drops) {
			assert.False(t, re.MatchString(name), "%s is kept by %s", name, re)
		}
	}
	// A family goes as a whole, whatever its type is, and what the receiver takes for a part of it with it.
	f([]Pattern{"a"}, nil, "a a_bucket a_sum a_count a_total a_info a_created", "b aa a_b a_bucket_x A")
	// An entry for one series of a family speaks for the family.
	f([]Pattern{"a_count"}, nil, "a a_bucket a_sum a_count a_count_total", "b_count")
	f([]Pattern{"a_total"}, nil, "a_total a_created", "a_b")
	// An info metric loses its suffix in the receiver, and gets it back in the processor.
	f([]Pattern{"a_info"}, nil, "a_info a", "a_b")
	f([]Pattern{"go_.*"}, nil, "go_x go_x_bucket go go_sum go_created", "gone xgo_")
	f([]Pattern{"a.*_count"}, nil, "a_count ab_count ab ab_bucket ab_max", "b_count b") // ab_max could be a histogram
	f([]Pattern{"^a_bucket$"}, nil, "a a_sum", "b")
	f([]Pattern{`(?i)a_BUCKET`}, nil, "a A_sum a_bucket", "b")
	f([]Pattern{`(a|b)_(count|max)`}, nil, "a b a_max b_max_sum b_sum", "c a_min")
	f([]Pattern{`a(_count)?`, `b(_x){1,2}`}, nil, "a a_sum b_x b_x_x b_x_x_count", "b b_x_x_x_x")
	// What is excluded by its name is not listed any more.
	f([]Pattern{"a", "b"}, []Pattern{"a"}, "b b_sum", "a a_bucket")
	f([]Pattern{"a_x", "b"}, []Pattern{"a_.*"}, "b", "a_x a_x_sum")
	f([]Pattern{"a_.*", "b"}, []Pattern{"a_x"}, "b a_x a_y", "")
	f([]Pattern{"a"}, []Pattern{"a_count"}, "a a_count", "") // only as a family
	// What the processor judges by is never taken from it, nor is what the rule cannot judge.
	f([]Pattern{"a"}, nil, "up scrape_samples_scraped scrape_body_size_bytes up_sum target_info 9a a.b b.c_sum ümlaut", "upp target_infos otel_scope_info")
	assert.True(t, seriesRegexp(t, metrics(t, "none", []Pattern{"a"}, nil)).MatchString(""))
}

func TestSeriesRegexpOfSeveral(t *testing.T) {
	re := seriesRegexp(t, metrics(t, "none", []Pattern{"a"}, nil), metrics(t, "none", []Pattern{"b"}, []Pattern{"a"}))
	assert.True(t, re.MatchString("a"), "one excludes what the other lists")
	assert.True(t, re.MatchString("b"))
	assert.False(t, re.MatchString("c"))
}

func TestSeriesRegexpOfEverything(t *testing.T) {
	for _, p := range []Pattern{".*", ".+", "(.*)", "^.*$", Pattern(strings.Repeat("a?b?", 40) + ".*")} {
		_, ok := SeriesRegexp(metrics(t, "stage1", []Pattern{p}, nil))
		assert.False(t, ok, p)
	}
}

// What is excluded is in use, though nothing of it is ever seen where the scrape drops it.
func TestExcludeOfListedIsUsed(t *testing.T) {
	unused := metrics(t, "stage1", nil, []Pattern{"kube_pod_labels", "go_memstats_.*"}).Exclude().Unmatched()
	assert.Equal(t, []Pattern{"go_memstats_.*"}, unused)
}

func TestCutSuffix(t *testing.T) {
	f := func(pattern, suffix, want string) {
		t.Helper()
		re, err := syntax.Parse(pattern, syntax.Perl)
		require.NoError(t, err)
		terms, ok := cutSuffix(withoutAssertions(re), suffix)
		require.True(t, ok)
		assert.Equal(t, want, strings.Join(slices.Sorted(maps.Keys(terms)), " "))
	}
	f("foo_sum", "_sum", "foo")
	f("foo", "_sum", "")
	f("_sum", "_sum", "(?:)")
	f("fo[a-o]", "o", "fo")
	f("foo$", "o", "fo")
	f("(a|b_sum)", "_sum", "b")
	f("a*", "a", "a*")
	f("ab?", "b", "a")
	f("x(ab){2,3}", "b", "x(ab)*a")
	f("x(ab)+", "b", "x(ab)*a")
}

// related lists the names of series that the receiver can make a part of the family of a name.
func related(family string) []string {
	out := []string{family}
	for _, suffix := range receiverSuffixes {
		out = append(out, family+suffix)
	}
	if base, ok := strings.CutSuffix(family, "_total"); ok {
		out = append(out, base+"_created")
	}
	if base, ok := strings.CutSuffix(family, "_info"); ok {
		out = append(out, related(base)...)
	}
	return out
}

func FuzzSeriesRegexp(f *testing.F) {
	for _, seed := range [][3]string{
		{"go_.*", "go_x", "go_y"}, {"a_count", "a", ""}, {"(a|b)?_(sum|x)", "a", "b.*"}, {"a+b*_bucket|c", "aabb", "c"}, {"(?i)X_INFO", "x", ""},
		{"a{2,3}_total", "aa_total", ""}, {"a.b", "a.b", ""}, {"[^a]_sum", "b", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, pattern, family, exclude string) {
		excludes := []Pattern{Pattern(exclude)}
		if exclude == "" {
			excludes = nil
		}
		m, err := NewMetrics("none", []Pattern{Pattern(pattern)}, excludes)
		if err != nil {
			return
		}
		source, ok := SeriesRegexp(m)
		if !ok {
			return
		}
		re, err := regexp.Compile("^(?s:" + source + ")$")
		require.NoError(t, err)
		if !m.Match(family, false) && !m.Match(family, true) {
			return
		}
		for _, name := range related(family) {
			if !re.MatchString(name) {
				t.Fatalf("scope %q lets %q pass, and %s drops %q", pattern, family, source, name)
			}
		}
	})
}
