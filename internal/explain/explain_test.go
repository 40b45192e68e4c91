// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

var update = flag.Bool("update", false, "write the golden files")

func explained(t *testing.T, config, scenePath string, o Options) *Explanation {
	t.Helper()
	file, err := configfile.Load(config)
	require.NoError(t, err)
	file.Name = filepath.Base(config)
	s, err := scene.Load(scenePath)
	require.NoError(t, err)
	c, err := scrapetest.Load(file, s.Env)
	require.NoError(t, err)
	e, err := Run(context.Background(), scrapetest.New(virtualtime.FromTest(t)), c, s, o)
	require.NoError(t, err)
	return e
}

func small(t *testing.T, o Options) *Explanation {
	t.Helper()
	return explained(t, "testdata/small/collector.yaml", "testdata/small/scene.yaml", o)
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path) //nolint:gosec // a golden file
	require.NoError(t, err, "run go test ./internal/explain -update")
	assert.Equal(t, string(want), string(got))
}

// TestGolden writes each kind of way in each form. Read what -update changes.
func TestGolden(t *testing.T) {
	for name, run := range map[string]func() *Explanation{
		"target-scraped":   func() *Explanation { return small(t, Options{Target: "10.0.0.1:80"}) },
		"target-failed":    func() *Explanation { return small(t, Options{Target: "10.0.0.2"}) },
		"target-dropped":   func() *Explanation { return small(t, Options{Target: "10.0.0.3:80"}) },
		"target-duplicate": func() *Explanation { return small(t, Options{Target: "10.0.0.4:80"}) },
		"target-invalid":   func() *Explanation { return small(t, Options{Target: "http://10.0.0.5:80/x"}) },
		"target-nothing":   func() *Explanation { return small(t, Options{Target: "tool-manger"}) },
		"series-delivered": func() *Explanation {
			return small(t, Options{Series: `requests_total{path="/api/tools",instance="10.0.0.1:80"}`})
		},
		"series-histogram": func() *Explanation { return small(t, Options{Series: `took_seconds_bucket{le="1"}`}) },
		"series-rule":      func() *Explanation { return small(t, Options{Series: "gone_total"}) },
		"series-scope":     func() *Explanation { return small(t, Options{Series: "secret_total"}) },
		"series-component": func() *Explanation { return small(t, Options{Series: `requests_total{app="agent-manager"}`}) },
		"series-limit":     func() *Explanation { return small(t, Options{Series: `requests_total{path="/p25"}`}) },
		"series-hostile":   func() *Explanation { return small(t, Options{Series: "note"}) },
		"series-own":       func() *Explanation { return small(t, Options{Series: `up{instance="10.0.0.2:80"}`}) },
		"series-nothing":   func() *Explanation { return small(t, Options{Series: `requests_totl`}) },
		"series-no-label":  func() *Explanation { return small(t, Options{Series: `requests_total{path="/api/tool"}`}) },
		"series-later": func() *Explanation {
			return small(t, Options{Series: `requests_total{organization="acme", path="/healthz"}`, At: 30 * time.Second})
		},
		"runner-pod": func() *Explanation { return reference(t, Options{Target: "pod/tool-manager-0"}) },
		"runner-kube": func() *Explanation {
			return reference(t, Options{Target: `{job="kube-state-metrics", __meta_kubernetes_pod_container_port_number="8081"}`})
		},
		"runner-histogram": func() *Explanation {
			return reference(t, Options{Series: `http_request_duration_highr_seconds_bucket{le="1.0", pod="tool-manager-1"}`})
		},
		"runner-scope":     func() *Explanation { return reference(t, Options{Series: "python_gc_objects_collected_total"}) },
		"runner-neighbour": func() *Explanation { return reference(t, Options{Series: `kube_pod_info{pod="checkout-1"}`}) },
	} {
		t.Run(name, func(t *testing.T) {
			e := run()
			var text, machine bytes.Buffer
			require.NoError(t, WriteText(&text, e, false))
			golden(t, name+".txt", text.Bytes())
			encoder := json.NewEncoder(&machine)
			encoder.SetIndent("", "  ")
			require.NoError(t, encoder.Encode(e))
			golden(t, name+".json", machine.Bytes())
			var page bytes.Buffer
			require.NoError(t, WriteHTML(&page, e))
			if name == "series-hostile" || name == "target-scraped" {
				golden(t, name+".html", page.Bytes())
			}
			for _, all := range []string{text.String(), machine.String(), page.String()} {
				assert.NotContains(t, all, "hunter2", "a secret is shown")
			}
			assert.NotContains(t, page.String(), "<script", "what is exposed becomes markup")
			assert.NotRegexp(t, `(src|href)="?(https?:)?//`, page.String(), "the page needs something from outside")
		})
	}
}

func reference(t *testing.T, o Options) *Explanation {
	t.Helper()
	return explained(t, "../../configs/collector.yaml", "testdata/runner/scene.yaml", o)
}

func TestMistakesSayWhatToDo(t *testing.T) {
	file, err := configfile.Load("testdata/small/collector.yaml")
	require.NoError(t, err)
	s, err := scene.Load("testdata/small/scene.yaml")
	require.NoError(t, err)
	c, err := scrapetest.Load(file, nil)
	require.NoError(t, err)
	engine := scrapetest.New(virtualtime.FromTest(t))
	for series, want := range map[string]string{
		"a{":  `--series "a{" is no selector`,
		"a b": `write one as in PromQL, such as up{app="tool-manager"}`,
	} {
		_, err := Run(context.Background(), engine, c, s, Options{Series: series})
		require.ErrorContains(t, err, want)
	}
	_, err = Run(context.Background(), engine, c, s, Options{})
	require.ErrorContains(t, err, "name one of them")
}

func TestTerminalIsNotHijacked(t *testing.T) {
	var b strings.Builder
	require.NoError(t, WriteText(&b, &Explanation{Asked: "x\x1b[2J\u202e", Ways: nil}, false))
	assert.NotContains(t, b.String(), "\x1b")
	assert.NotContains(t, b.String(), "\u202e")
}
