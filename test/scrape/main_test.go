// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/casefile"
	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/testbed"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

func TestExecuteErrors(t *testing.T) {
	f := func(name string, args []string, code int, contains string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			assert.Equal(t, code, execute(t.Context(), virtualtime.FromTest(t), args, &stdout, &stderr))
			assert.Contains(t, stderr.String(), contains)
			assert.Empty(t, stdout.String())
		})
	}
	f("help", []string{"--help"}, 0, "scrape tests the configurations in configs/")
	f("unknown flag", []string{"--nope"}, 2, "flag provided but not defined: -nope")
	f("not a regexp", []string{"--only", "("}, 2, "missing closing )")
	f("an argument", []string{"configs"}, 2, `"configs" is no flag`)
}

func testSuite(t *testing.T) *suite {
	t.Helper()
	o, _, ok := parse(nil, os.Stderr)
	require.True(t, ok)
	s := &suite{options: o, engine: scrapetest.New(virtualtime.FromTest(t)), out: t.Output()}
	require.NoError(t, s.load())
	return s
}

// The cases are valid, enough, and distinct, and their scenes have no page that is for nobody.
func TestCaseFiles(t *testing.T) {
	s := testSuite(t)
	names := map[string]string{}
	for _, f := range s.files {
		assert.NotEmpty(t, f.ConfigPaths, f.Name)
		for i := range f.Cases {
			name := f.Cases[i].Name
			assert.Empty(t, names[name], "%s: a case of this name is in two files: %s", f.Name, name)
			names[name] = f.Name
		}
	}
	assert.GreaterOrEqual(t, len(names), minCases)
	for _, config := range s.configs {
		some := 0
		for _, f := range s.files {
			if isFor(f, config) {
				some += len(f.Cases)
			}
		}
		assert.GreaterOrEqual(t, some, minCases, config.Name)
	}
}

// A mutant is caught, and what changes nothing survives.
func TestCatch(t *testing.T) {
	s := testSuite(t)
	s.files = onlyFile(t, s, "pods_test.yaml")
	config := s.configs[0]
	f := func(change string, caught bool) {
		t.Helper()
		all, err := mutate(config)
		require.NoError(t, err)
		for _, m := range all {
			if m.change != change {
				continue
			}
			fate, err := s.catch(t.Context(), m)
			require.NoError(t, err)
			assert.Equal(t, caught, fate.by != "", "%s: %s", change, fate.by)
			return
		}
		assert.Fail(t, "no such mutant", change)
	}
	f("runner-components, relabel_configs[3] (drop pod_phase): regex Succeeded", true)
	f("runner-components, relabel_configs[10] (replace pod_annotation_prometheus_io_scheme -> __scheme__): regex (https)", false)

	noop := &mutant{file: config, change: "a comment at the end", edits: []configfile.Edit{{Start: len(config.Text), End: len(config.Text), New: "# nothing\n"}}}
	fate, err := s.catch(t.Context(), noop)
	require.NoError(t, err)
	assert.Empty(t, fate)
}

func onlyFile(t *testing.T, s *suite, name string) []*casefile.File {
	t.Helper()
	for _, f := range s.files {
		if baseName(f.Name) == name {
			return []*casefile.File{f}
		}
	}
	require.Fail(t, "no such file", name)
	return nil
}

// Each fault is caught, by what is meant to catch it, and its cases pass once it is mended.
func TestFaults(t *testing.T) {
	s := testSuite(t)
	sum := &summary{}
	require.NoError(t, s.faults(t.Context(), sum))
	assert.Equal(t, 5, sum.Faults)
	assert.Len(t, sum.FaultsCaught, 5)

	f := func(name, old, mended string) {
		t.Helper()
		path := s.path(faultsDir, name+".yaml")
		text, err := os.ReadFile(path) //nolint:gosec // a file of the test
		require.NoError(t, err)
		require.Contains(t, string(text), old)
		config, err := configfile.Parse(path, []byte(strings.Replace(string(text), old, mended, 1)))
		require.NoError(t, err)
		files, err := casefile.Load(s.path(faultsDir, name+"_test.yaml"))
		require.NoError(t, err)
		r, err := casefile.Run(t.Context(), s.engine, files, casefile.Options{Config: config})
		require.NoError(t, err)
		for _, c := range r.Suite.Cases {
			assert.False(t, c.Failed(), "%s: %v", name, c.Findings)
		}
	}
	f("double-scrape", "regex: (otel-collector)?\n              action: keep", "regex: otel-collector\n              action: drop")
	f("instance-collision", "processors: [resource]", "processors: []")
	f("no-namespace", "- role: endpointslice", "- {role: endpointslice, namespaces: {names: [runner-acme]}}")
	f("pod-labels", "              action: keep", "              action: keep\n          metric_relabel_configs: [{regex: label_(pod_template_hash|customer|request), action: labeldrop}]")
}

func TestFailures(t *testing.T) {
	good := summary{
		Jobs: 4, JobsCovered: 4, Covered: 9, Coverable: 9, Cases: minCases, Passed: minCases, Faults: 1, FaultsCaught: map[string]string{"a": "b"},
		Mutants: 100, MutantsCaught: 95,
	}
	assert.Empty(t, good.failures())
	f := func(want string, change func(*summary)) {
		t.Helper()
		s := good
		change(&s)
		assert.Equal(t, []string{want}, s.failures())
	}
	f("1 of 60 cases failed", func(s *summary) { s.Passed-- })
	f("59 cases, 60 are wanted", func(s *summary) { s.Cases, s.Passed = 59, 59 })
	f("1 of 4 jobs are covered by no case", func(s *summary) { s.JobsCovered-- })
	f("1 of 9 parts of the configurations are covered by no case", func(s *summary) { s.Covered-- })
	f("1 of 1 faults were caught by nothing", func(s *summary) { s.FaultsCaught = nil })
	f("94 of 100 mutants were caught, 95 % are wanted", func(s *summary) { s.MutantsCaught-- })
	f("no such mutant", func(s *summary) { s.stale = []string{"no such mutant"} })
}

// The configurations in the repository are where the cases look for them.
func TestConfigs(t *testing.T) {
	s := testSuite(t)
	assert.GreaterOrEqual(t, len(s.configs), 13)
	assert.Equal(t, testbed.Root(t), s.root)
	for _, f := range s.configs {
		assert.Equal(t, fingerprint(s.configs[0]), fingerprint(f), "%s differs from the others in what is scraped or processed, which takes a hunt of its own", f.Name)
	}
}
