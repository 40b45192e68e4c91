// SPDX-License-Identifier: Apache-2.0

// Package docs_test checks what the pages about delivery say against what they speak of.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

const component = "components/durableremotewriteexporter"

var pages = []string{"docs/delivery.md", "docs/delivery-comparison.md", "docs/remote-write-conformance.md", component + "/README.md"}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testbed.Root(t), path)) //nolint:gosec // a file of the repository
	require.NoError(t, err)
	return string(text)
}

// metrics returns the names of the exporter's metrics, as they are exposed with the naming of configs/.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	var meta struct {
		Telemetry struct {
			Metrics map[string]struct {
				Unit      string
				Sum       *struct{}
				Histogram *struct{}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, component+"/metadata.yaml")), &meta))
	require.NotEmpty(t, meta.Telemetry.Metrics)
	names := map[string]bool{}
	for name, m := range meta.Telemetry.Metrics {
		name = "otelcol_" + name
		if suffix := map[string]string{"s": "_seconds", "By": "_bytes"}[m.Unit]; !strings.HasSuffix(name, suffix) {
			name += suffix
		}
		if m.Sum != nil {
			name += "_total"
		}
		names[name] = true
	}
	return names
}

func TestEveryMetricIsExplained(t *testing.T) {
	text := read(t, "docs/delivery.md")
	known := metrics(t)
	for name := range known {
		assert.Contains(t, text, "| `"+name+"` |")
	}
	for _, name := range regexp.MustCompile(`otelcol_exporter_durable_remote_write_\w+`).FindAllString(text, -1) {
		assert.True(t, known[name], "%s is no metric", name)
	}
}

func TestAlertsAreQueries(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```promql\n(.*?)```").FindAllStringSubmatch(read(t, "docs/delivery.md"), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		_, err := parser.NewParser(parser.Options{}).ParseExpr(block[1])
		assert.NoError(t, err, block[1])
	}
}

func TestCommandsExist(t *testing.T) {
	makefile, log := read(t, "Makefile"), filepath.Join(testbed.Root(t), "cmd", "runnerctl")
	for _, page := range pages {
		text := read(t, page)
		for _, m := range regexp.MustCompile("make ([a-z]+(?:-[a-z]+)+)").FindAllStringSubmatch(text, -1) {
			assert.Contains(t, makefile, "\n"+m[1]+":", "%s: make %s", page, m[1])
		}
		for _, m := range regexp.MustCompile(`runnerctl log ([a-z]+)`).FindAllStringSubmatch(text, -1) {
			assert.FileExists(t, filepath.Join(log, "log_"+m[1]+".go"), "%s: runnerctl log %s", page, m[1])
		}
		for _, m := range regexp.MustCompile(`(?:go run|go test) ((?:\./[\w/]+ ?)+)`).FindAllStringSubmatch(text, -1) {
			for dir := range strings.FieldsSeq(m[1]) {
				assert.DirExists(t, filepath.Join(testbed.Root(t), dir), "%s: %s", page, dir)
			}
		}
	}
}

func TestLinksLead(t *testing.T) {
	for _, page := range pages {
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`).FindAllStringSubmatch(read(t, page), -1) {
			if strings.HasPrefix(m[1], "https://") {
				continue
			}
			_, err := os.Stat(filepath.Join(testbed.Root(t), filepath.Dir(page), m[1]))
			assert.NoError(t, err, "%s: %s", page, m[1])
		}
	}
}
