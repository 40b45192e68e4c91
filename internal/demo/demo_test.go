// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/configs"
	"github.com/kubiyabot/otelcol-runner/internal/demo/sample"
	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

// demoRun is a demo that runs beside the test.
type demoRun struct {
	screen testbed.Buffer
	cancel context.CancelFunc
	skip   chan struct{}
	done   chan struct{}
	result Result
	err    error
}

// begin starts the real demo. Its page is up when begin returns.
func begin(t *testing.T, change func(*Options)) (*demoRun, string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	d := &demoRun{cancel: cancel, skip: make(chan struct{}), done: make(chan struct{})}
	opts := Options{Collector: testbed.Collector(t), Config: configs.Collector, Listen: "127.0.0.1:0", Screen: &d.screen, Skip: d.skip}
	if change != nil {
		change(&opts)
	}
	go func() {
		defer close(d.done)
		d.result, d.err = Run(ctx, opts)
	}()
	t.Cleanup(func() {
		cancel()
		<-d.done
	})
	var page string
	require.Eventually(t, func() bool {
		if found := regexp.MustCompile(`http://127\.0\.0\.1:\d+/`).FindString(d.screen.String()); found != "" {
			page = found
		}
		return page != ""
	}, 30*time.Second, 20*time.Millisecond, "the demo does not start")
	return d, page
}

// state reads what the page reads.
func state(t *testing.T, page string) State {
	t.Helper()
	var s State
	require.NoError(t, json.Unmarshal([]byte(get(t, page+"demo/state")), &s))
	return s
}

func get(t *testing.T, url string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	defer func() { assert.NoError(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

// reasonsOfTheSample are the drop reasons that the sample runner gives cause for.
var reasonsOfTheSample = []string{"metric", "namespace", "object_namespace", "secret", "component_series_limit"}

// untilEverythingHappened waits until each of the sample's mistakes has had its effect.
func untilEverythingHappened(t *testing.T, d *demoRun, page string) {
	t.Helper()
	require.Eventually(t, func() bool {
		select {
		case <-d.done:
			return true
		default:
		}
		s := state(t, page)
		for _, reason := range reasonsOfTheSample {
			if s.Result.Dropped[reason] == 0 {
				return false
			}
		}
		return s.Result.Delivered > 1000 && len(s.Spoofed) > 0 && s.Result.NativeHistogramSamples > 0
	}, 60*time.Second, 200*time.Millisecond, "last state: %s", &d.screen)
}

// The whole product: the real collector, the reference configuration, a real Prometheus, and the page in a browser.
func TestEveryPromiseHolds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	d, page := begin(t, func(o *Options) { o.Dir = dir })
	untilEverythingHappened(t, d, page)
	t.Run("page", func(t *testing.T) { testPage(t, page) })
	d.cancel()
	<-d.done
	require.NoError(t, d.err)

	r := d.result
	assert.Empty(t, r.Broken)
	assert.True(t, r.Verified)
	assert.Zero(t, r.Lost)
	assert.Zero(t, r.ForeignSeries)
	assert.Zero(t, r.SpoofedIdentities)
	assert.Zero(t, r.SecretSeries)
	assert.Zero(t, r.Rejected)
	assert.Positive(t, r.SpoofedSeries)
	assert.Positive(t, r.NativeHistogramSamples)
	assert.Positive(t, r.SecondsToFirstSample)
	assert.Positive(t, r.CPUSeconds)
	assert.Greater(t, r.Delivered, int64(1000))
	assert.Equal(t, r.KeptSamples, r.Queryable)
	var dropped int64
	for _, n := range r.Dropped {
		dropped += n
	}
	assert.Equal(t, r.Scraped, r.Kept+dropped)
	for _, reason := range reasonsOfTheSample {
		assert.Positive(t, r.Dropped[reason], reason)
	}
	assert.Contains(t, d.screen.String(), "  ok  every one of ")

	// The store is still there, so that what the demo said can be asked again.
	backend, err := prombackend.Open(filepath.Join(dir, "store"), prombackend.Options{})
	require.NoError(t, err)
	defer func() { assert.NoError(t, backend.Close()) }()
	var samples int64
	series := map[string]int{}
	for s, err := range backend.Series(t.Context(), 0, time.Now().UnixMilli()) {
		require.NoError(t, err)
		samples += int64(len(s.Samples))
		series[s.Labels.Get("app")]++
		s.Labels.Range(func(l labels.Label) {
			assert.NotEqual(t, sample.NeighbourNamespace, l.Value)
			assert.NotContains(t, l.Value, "not-a-real-token")
		})
	}
	assert.Equal(t, r.Queryable, samples)
	for _, component := range components() {
		assert.Positive(t, series[component], component)
	}
	assert.NotContains(t, series, sample.NeighbourApp)
}

// The collector is killed at moments of its own choice, also before it is up, and everything that it had accepted arrives.
func TestKillsLoseNothing(t *testing.T) {
	kill := make(chan struct{}, 1)
	dir := filepath.Join(t.TempDir(), "demo")
	d, page := begin(t, func(o *Options) { o.Kill, o.Dir = kill, dir })
	delivered := func(more int64) func() bool {
		before := state(t, page).Result.Delivered
		return func() bool { return state(t, page).Result.Delivered >= before+more }
	}
	for range 4 {
		require.Eventually(t, delivered(1000), 60*time.Second, 50*time.Millisecond, "last state: %s", &d.screen)
		kill <- struct{}{}
	}
	require.Eventually(t, func() bool { return len(kill) == 0 }, 10*time.Second, time.Millisecond)
	kill <- struct{}{} // while it starts
	require.Eventually(t, delivered(1000), 60*time.Second, 50*time.Millisecond, "last state: %s", &d.screen)
	s := state(t, page)
	assert.Equal(t, int64(5), s.History[len(s.History)-1].Kills)
	dom := load(t, chromium(t), page)
	assert.Regexp(t, `id="kills"[^>]*>5<`, dom)
	assert.Regexp(t, `id="lost"[^>]*>0<`, dom)
	assert.Regexp(t, `id="acknowledged"[^>]*>[1-9][\d,]*<`, dom)
	d.cancel()
	<-d.done
	require.NoError(t, d.err)

	r := d.result
	assert.Empty(t, r.Broken)
	assert.True(t, r.Verified)
	assert.Equal(t, int64(5), r.Kills)
	assert.Zero(t, r.Lost)
	assert.Equal(t, r.KeptSamples, r.Queryable)
	assert.Equal(t, r.KeptSamples, r.Log.Accepted)
	assert.Equal(t, r.Log.Accepted, r.Log.Acknowledged)
	var dropped int64
	for _, n := range r.Dropped {
		dropped += n
	}
	assert.Equal(t, r.Scraped, r.Kept+dropped)
	assert.Contains(t, d.screen.String(), " kept samples is in the store, and the collector was killed 5 times\n")
	messages, err := os.ReadFile(filepath.Join(dir, "collector.log")) //nolint:gosec // the test's own folder
	require.NoError(t, err)
	assert.GreaterOrEqual(t, strings.Count(string(messages), "Starting otelcol-runner..."), 5, "what the killed ones said is kept")
}

func TestChaosKills(t *testing.T) {
	d, page := begin(t, func(o *Options) { o.Chaos = true })
	require.Eventually(t, func() bool { return state(t, page).Result.Kills >= 2 }, 60*time.Second, 100*time.Millisecond, "last state: %s", &d.screen)
	d.cancel()
	<-d.done
	require.NoError(t, d.err)
	assert.Empty(t, d.result.Broken)
	assert.Zero(t, d.result.Lost)
}

func TestEndedBeforeTheCheck(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	d, _ := begin(t, nil)
	d.cancel()
	close(d.skip)
	<-d.done
	require.NoError(t, d.err)
	assert.False(t, d.result.Verified)
	assert.Contains(t, d.screen.String(), "Ended before the final check")
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestACollectorThatDoesNotTakeItsConfiguration(t *testing.T) {
	secret := "hun" + "ter2hunter2"
	_, err := Run(t.Context(), Options{
		Collector: testbed.Collector(t), Listen: "127.0.0.1:0", Screen: io.Discard,
		Config: append(bytes.Clone(configs.Collector), "\nconnectors: {\"password="+secret+"\": {}}\n"...),
	})
	require.ErrorContains(t, err, "the collector ended by itself (exit status 1); its last log lines:")
	assert.ErrorContains(t, err, "connectors")
	assert.NotContains(t, err.Error(), secret)
}

func TestACollectorThatIsKilled(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	d, page := begin(t, nil)
	require.Eventually(t, func() bool { return state(t, page).Result.Delivered > 0 }, 30*time.Second, 50*time.Millisecond)
	require.NoError(t, syscall.Kill(childOf(t), syscall.SIGKILL))
	<-d.done
	assert.ErrorContains(t, d.err, "the collector ended by itself (signal: killed); its last log lines:")
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// childOf is the process id of this process's only child.
func childOf(t *testing.T) int {
	t.Helper()
	children, err := thisProcess(t).Children()
	require.NoError(t, err)
	require.Len(t, children, 1)
	return int(children[0].Pid)
}

// testPage loads the page in a headless Chromium, as a reader would, and looks at what it shows.
func testPage(t *testing.T, page string) {
	browser := chromium(t)
	t.Run("numbers, drops, components and identity", func(t *testing.T) {
		dom := load(t, browser, page)
		assert.Regexp(t, `id="phase"[^>]*>running<`, dom)
		for _, id := range []string{"scraped", "kept", "delivered", "queryable"} {
			assert.Regexp(t, `id="`+id+`"[^>]*>[1-9][\d,]*<`, dom)
		}
		for _, id := range []string{"lost", "foreign", "secrets", "spoofed"} {
			assert.Regexp(t, `id="`+id+`"[^>]*>0<`, dom)
		}
		for _, reason := range reasonsOfTheSample {
			assert.Contains(t, dom, `data-reason="`+reason+`"`)
		}
		assert.Contains(t, dom, `exported_runner="globex-production"`)
		assert.Contains(t, dom, `<td>dagger-engine</td>`)
		assert.Equal(t, 5, strings.Count(dom, "<canvas"), "the throughput, three of the log, and the first example")
		assert.Regexp(t, `id="accepted"[^>]*>[1-9][\d,]*<`, dom)
		assert.Regexp(t, `id="aside"[^>]*>0<`, dom)
		assert.Contains(t, dom, `<span>{app="tool-manager"}</span>`)
	})
	t.Run("a PromQL table", func(t *testing.T) {
		dom := load(t, browser, page+`#view=table&expr=up{app="workflow-engine"}`)
		assert.Regexp(t, `<td class="series">up\{app="workflow-engine"[^<]*organization="acme"[^<]*</td><td class="right">1</td>`, dom)
	})
	t.Run("a native histogram", func(t *testing.T) {
		dom := load(t, browser, page+`#view=table&expr=workflow_engine_step_duration_seconds`)
		assert.Regexp(t, `<td class="right">[\d,]+ observations, sum [\d.,]+</td>`, dom)
	})
	t.Run("nothing of the neighbour", func(t *testing.T) {
		dom := load(t, browser, page+`#expr={namespace="payments"} or {kubernetes_namespace="payments"}`)
		assert.Regexp(t, `id="query-message"[^>]*>No series\.<`, dom)
	})
	t.Run("Prometheus's own error message", func(t *testing.T) {
		dom := load(t, browser, page+`#expr=rate(`)
		assert.Regexp(t, `id="query-message" class="error"[^>]*>[^<]*parse error`, dom)
	})
	t.Run("light and dark", func(t *testing.T) {
		for name, scheme := range map[string]string{"dark": "0", "light": "1"} {
			picture := filepath.Join(t.TempDir(), name+".png")
			load(t, browser, page, "--screenshot="+picture, "--window-size=1280,2060", "--blink-settings=preferredColorScheme="+scheme)
			content, err := os.ReadFile(picture) //nolint:gosec // the test's own folder
			require.NoError(t, err)
			assert.Greater(t, len(content), 50_000, "an empty page makes a small picture")
		}
	})
}

func chromium(t *testing.T) string {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	require.NoError(t, err, "this test needs Chromium: install the Debian package chromium")
	return browser
}

// load opens the page and returns its DOM after a few seconds of the page's time.
func load(t *testing.T, browser, page string, more ...string) string {
	t.Helper()
	args := append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--user-data-dir=" + t.TempDir(), "--virtual-time-budget=4000", "--dump-dom",
	}, more...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, browser, append(args, page)...) //nolint:gosec // Chromium, on our own page
	var messages bytes.Buffer
	command.Stderr = &messages
	dom, err := command.Output()
	require.NoError(t, err, messages.String())
	assert.NotContains(t, messages.String(), "CONSOLE", "the page's scripts complained")
	return string(dom)
}
