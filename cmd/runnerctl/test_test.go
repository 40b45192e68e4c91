// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

const scrapeConfig = `global: {scrape_interval: 30s}
scrape_configs:
  - job_name: web
    static_configs: [{targets: ["10.0.0.1:80", "10.0.0.2:80"]}]
    relabel_configs:
      - {source_labels: [__address__], regex: "10\\.0\\.0\\.2.*", action: drop}
      - {source_labels: [nothing], regex: x, action: drop}
`

const scrapeTest = `config: prometheus.yaml
scene: {pages: {"10.0.0.1:80/metrics": page.prom}}
cases:
  - name: the page arrives
    expect: {series: {'a{…}': 1}} # one
  - name: the other target is dropped
    expect: {targets: {kept: 1, dropped: 1}}
`

// scrapeTests is a folder with a configuration, a page and a test file.
func scrapeTests(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"prometheus.yaml": scrapeConfig, "web_test.yaml": scrapeTest, "page.prom": "a 1\n"} {
		writeIn(t, dir, name, text)
	}
	return dir
}

func writeIn(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
}

func TestTestPasses(t *testing.T) {
	dir := scrapeTests(t)
	code, out, errs := inVirtualTime(t, "test", dir)
	assert.Equal(t, exitFine, code, errs)
	assert.Regexp(t, `^2 cases, 2 passed, \d+\.\d s\n$`, out)
	assert.Empty(t, errs)

	code, out, _ = inVirtualTime(t, "test", dir, "-v", "--run", "arrives$")
	assert.Equal(t, exitFine, code)
	assert.Regexp(t, `^ok     .*web_test.yaml:4: the page arrives \(\d+ ms\)\n1 case, 1 passed, `, out)
}

func TestTestFails(t *testing.T) {
	dir := scrapeTests(t)
	writeIn(t, dir, "page.prom", "a 2\n")
	path := filepath.Join(dir, "web_test.yaml")
	code, out, errs := inVirtualTime(t, "test", path)
	assert.Equal(t, exitBroken, code, errs)
	assert.Contains(t, out, path+":5:23: error: the page arrives: a{…}: expected 1, got 2 (series)\n2 cases, 1 passed, 1 failed, ")

	_, out, _ = inVirtualTime(t, "test", path, "--output", "github")
	assert.Contains(t, out, ",line=5,col=23,endColumn=29::the page arrives: a{…}: expected 1, got 2\n")
	_, out, _ = inVirtualTime(t, "test", path, "--output", "junit")
	assert.Contains(t, out, `tests="2" failures="1"`)
	code, out, _ = inVirtualTime(t, "test", path, "--output", "json", "--coverage")
	assert.Equal(t, exitBroken, code)
	var result struct {
		Errors int
		Cases  []struct {
			Name   string
			Passed bool
		}
		Coverage struct {
			Percent        float64
			Covered, Total int
			Items          []struct{ Kind, Missing string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &result))
	assert.Equal(t, 1, result.Errors)
	assert.False(t, result.Cases[0].Passed)
	assert.Equal(t, 2, result.Coverage.Covered)
	assert.Equal(t, 3, result.Coverage.Total)
	assert.InDelta(t, 66.67, result.Coverage.Percent, 0.01)
	assert.Equal(t, "it drops nothing in any case", result.Coverage.Items[2].Missing)
}

func TestTestCoverage(t *testing.T) {
	dir := scrapeTests(t)
	code, out, _ := inVirtualTime(t, "test", dir, "--coverage")
	assert.Equal(t, exitFine, code)
	assert.Contains(t, out, " 1/1            1/2                   0/0            0/0  "+dir)
	assert.Contains(t, out, "prometheus.yaml:7:9: info: the relabel rule drop by nothing: it drops nothing in any case (coverage)\n")
	assert.Contains(t, out, " s, coverage 66.6 %\n")
	code, out, _ = inVirtualTime(t, "test", dir, "--coverage=67")
	assert.Equal(t, exitBroken, code)
	assert.Contains(t, out, "prometheus.yaml:7:9: error: ")
	code, _, _ = inVirtualTime(t, "test", dir, "--coverage=66.6%")
	assert.Equal(t, exitFine, code)
}

func TestTestUpdate(t *testing.T) {
	dir := scrapeTests(t)
	writeIn(t, dir, "page.prom", "a 2\n")
	path := filepath.Join(dir, "web_test.yaml")
	code, out, errs := inVirtualTime(t, "test", path, "--update")
	assert.Equal(t, exitFine, code)
	assert.Contains(t, out, "2 cases, 2 passed, ")
	assert.Contains(t, errs, "-    expect: {series: {'a{…}': 1}} # one\n+    expect: {series: {'a{…}': 2}} # one\n")
	assert.Contains(t, errs, path+": 1 expectation written anew\n")
	text, err := os.ReadFile(path) //nolint:gosec // of this test
	require.NoError(t, err)
	assert.Equal(t, strings.Replace(scrapeTest, "': 1}} # one", "': 2}} # one", 1), string(text))
	_, _, errs = inVirtualTime(t, "test", path, "--update")
	assert.Empty(t, errs)
}

func TestTestOtherConfig(t *testing.T) {
	dir := scrapeTests(t)
	writeIn(t, dir, "other.yaml", strings.Replace(scrapeConfig, "10.0.0.1:80", "10.0.0.3:80", 1))
	code, out, _ := inVirtualTime(t, "test", dir, "--config", filepath.Join(dir, "other.yaml"))
	assert.Equal(t, exitBroken, code)
	assert.Contains(t, out, "10.0.0.3:80 has no page in the scene")
}

func TestTestCannotRun(t *testing.T) {
	dir := scrapeTests(t)
	writeIn(t, dir, "wrong_test.yaml", "case: []\n")
	writeIn(t, dir, "no-config.yaml", "cases: [{name: a, expect: {}}]\n")
	writeIn(t, dir, "gone.yaml", "{cases: [{name: a, expect: {}}], config: gone/collector.yaml}\n")
	at := func(name string) string { return filepath.Join(dir, name) }
	for wanted, args := range map[string][]string{
		"needs a test file":                           {},
		`has no key "case": did you mean "cases"?`:    {at("wrong_test.yaml")},
		"no configuration to be tested: name one":     {at("no-config.yaml")},
		"gone/collector.yaml: no such file":           {at("gone.yaml")},
		"no such file or directory: name a test file": {at("nothing.yaml")},
		"matches the name of no case":                 {at("web_test.yaml"), "--run", "nothing"},
		"--run: error parsing regexp":                 {at("web_test.yaml"), "--run", "("},
		`--output "xml" is not known`:                 {at("web_test.yaml"), "--output", "xml"},
		`--coverage "much" is no percentage`:          {at("web_test.yaml"), "--coverage=much"},
		`--coverage "101" is no percentage`:           {at("web_test.yaml"), "--coverage=101"},
		"leave out --output json":                     {at("web_test.yaml"), "--watch", "--output", "json"},
		"would never end":                             {at("web_test.yaml"), "--watch", "--update"},
		"none.yaml: no such file or directory":        {at("web_test.yaml"), "--config", at("none.yaml")},
		"page.prom:1:1: is a single value":            {at("web_test.yaml"), "--config", at("page.prom")},
		"an equals sign: --coverage=100\n":            {at("web_test.yaml"), "--coverage", "100"},
		"1:1: this is a configuration, and no test":   {at("prometheus.yaml")},
	} {
		code, out, errs := inVirtualTime(t, append([]string{"test"}, args...)...)
		assert.Equal(t, exitFailed, code, args)
		assert.Contains(t, errs, wanted, args)
		assert.Empty(t, out, args)
	}
}

func TestTestCompletion(t *testing.T) {
	_, out, _ := command(t, "__complete", "test", "--output", "")
	assert.Contains(t, out, "junit\n")
	_, out, _ = command(t, "__complete", "test", "")
	assert.Contains(t, out, "yaml\n")
}

// screen is an output that can be waited for.
type screen struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
	came chan struct{}
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.came <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

// next waits for a text, and returns what was written up to its end.
func (s *screen) next(t *testing.T, text string) string {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		s.mu.Lock()
		all := s.text.String()
		if i := strings.Index(all, text); i >= 0 {
			s.text.Next(i + len(text))
			s.mu.Unlock()
			return all[:i+len(text)]
		}
		s.mu.Unlock()
		select {
		case <-s.came:
		case <-timeout:
			require.Fail(t, "it did not come: "+text, all)
		}
	}
}

func TestTestWatch(t *testing.T) {
	dir := scrapeTests(t)
	out := &screen{came: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() {
		ended <- execute(ctx, streams{out: out, err: io.Discard, outTTY: true, clock: virtualtime.FromTest(t)}, []string{"test", filepath.Join(dir, "web_test.yaml"), "--watch"})
	}()
	const waiting = "waiting for a change; Ctrl-C ends\n"
	first := out.next(t, waiting)
	assert.Contains(t, first, clearScreen)
	assert.Contains(t, first, "2 cases, 2 passed")

	writeIn(t, dir, "page.prom", "a 3\n")
	assert.Contains(t, out.next(t, waiting), "expected 1, got 3")

	// A mistake does not end it.
	writeIn(t, dir, "web_test.yaml", "cases: [")
	assert.Contains(t, out.next(t, waiting), "web_test.yaml:1:")
	writeIn(t, dir, "web_test.yaml", strings.Replace(scrapeTest, "': 1}} # one", "': 3}} # one", 1))
	assert.Contains(t, out.next(t, waiting), "2 cases, 2 passed")

	writeIn(t, dir, "prometheus.yaml", strings.ReplaceAll(scrapeConfig, "drop", "keep"))
	assert.Contains(t, out.next(t, waiting), "2 failed")

	stop()
	assert.Equal(t, exitFine, <-ended)
}
