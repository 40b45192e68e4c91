// SPDX-License-Identifier: Apache-2.0

package configfile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("x.yaml", []byte(text))
	require.NoError(t, err)
	return f
}

func TestKinds(t *testing.T) {
	for text, want := range map[string]Kind{
		"receivers: {prometheus: {}}":              Collector,
		"service:\n  pipelines: {}\n":              Collector,
		"exporters:\n":                             Collector,
		"global: {}\nscrape_configs: []":           Prometheus,
		"remote_write: []":                         Prometheus,
		"scrape_configs: []":                       ScrapeConfigs,
		"- job_name: a\n- job_name: b":             ScrapeConfigs,
		"\xef\xbb\xbf- job_name: a":                ScrapeConfigs,
		"x-rules: &r []\nscrape_configs: []":       ScrapeConfigs,
		"---\nscrape_configs: []\n---\n":           ScrapeConfigs,
		"receivers: ${file:receivers.yaml}\nx: {}": Collector,
	} {
		assert.Equal(t, want, parse(t, text).Kind, text)
	}
	assert.Equal(t, []string{"collector", "prometheus", "scrape_configs", "Kind(9)"},
		[]string{Collector.String(), Prometheus.String(), ScrapeConfigs.String(), Kind(9).String()})
}

// bomb doubles a list again and again.
func bomb(levels int) string {
	var b strings.Builder
	b.WriteString("scrape_configs: []\na0: &a0 [x, x]\n")
	for i := 1; i <= levels; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
	}
	return b.String()
}

func TestErrors(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":            {"", "x.yaml: the file is empty: give "},
		"comments only":    {"# nothing\n", "x.yaml: the file is empty: give "},
		"null":             {"~", "x.yaml: the file has no content: give "},
		"a text":           {"hello", "x.yaml:1:1: is a single value: "},
		"a list of texts":  {"- a\n- b", "x.yaml:1:1: is a list, but no item has a job_name: "},
		"something else":   {"a: 1", "x.yaml:1:1: has none of receivers, service, global, scrape_configs: "},
		"one job":          {"job_name: a", "x.yaml:1:1: is one scrape configuration: make it an item of a list (- job_name: …)"},
		"rules":            {"groups: []", "x.yaml:1:1: looks like recording or alerting rules: "},
		"alertmanager":     {"route: {}\nreceivers: [{name: a}]", "x.yaml:1:1: has none of receivers, "},
		"manifest":         {"apiVersion: v1\nkind: ConfigMap\ndata: {}", `x.yaml:2:7: is a Kubernetes object of the kind "ConfigMap": give the configuration that is in it`},
		"values":           {"replicaCount: 1\nimage: {}", "x.yaml:1:1: looks like the values of a Helm chart: render the chart"},
		"two documents":    {"receivers: {}\n---\nreceivers: {}\n", "x.yaml:2:1: a second document begins here: a configuration is one document, split the file at ---"},
		"second is broken": {"receivers: {}\n---\na: [\n", "x.yaml:4:1: not valid YAML: did not find expected node content"},
		"tab":              {"receivers:\n\tprometheus: {}\n", "x.yaml:2:1: not valid YAML: found character that cannot start any token: indent with spaces: YAML does not allow tabs there"},
		"tab in a list":    {"receivers:\n  a:\n  -\tb: 1\n  c: 2\n", "x.yaml:3:4: not valid YAML: found character that cannot start any token: replace the tab by spaces"},
		"escape":           {"receivers:\n  a: \"\\d\"\n", "x.yaml:2:3: not valid YAML: found unknown escape character: write a regular expression in single quotes or without quotes"},
		"colon":            {"receivers:\n  a: b: c\n", "x.yaml:2:3: not valid YAML: mapping values are not allowed in this context: quote a value that has a colon and a space in it, and indent keys alike"},
		"at sign":          {"receivers:\n  a: @b\n", "x.yaml:2:3: not valid YAML: found character that cannot start any token: quote a value that begins with one of"},
		"template":         {"receivers:\n  {{ .Values.x }}\n  a: 1\n", "x.yaml:"},
		"flow":             {"receivers:\n  a: {b: (c?), d: 1}\n", "x.yaml:2:3: not valid YAML: did not find expected ',' or '}': quote a value that has one of"},
		"unknown anchor":   {"receivers:\n  a: *nobody\n", "x.yaml:2:6: not valid YAML: unknown anchor 'nobody' referenced: define it above with &name"},
		"key twice":        {"receivers: {}\nservice: {}\nreceivers: {}\n", `x.yaml:3:1: key "receivers" is set on line 1 already: remove one of the two`},
		"NUL":              {"receivers:\n  a\x00b: 1", "x.yaml:2:4: character U+0000 is not allowed in YAML: a configuration is text"},
		"not UTF-8":        {"receivers:\n  é\xff: 1", "x.yaml:2:4: byte 0xff is not UTF-8: a configuration is UTF-8 text"},
		"UTF-16":           {"\xff\xfer\x00", "x.yaml:1:1: is UTF-16: convert it to UTF-8"},
		"cycle":            {"receivers: &r\n  a: [*r]\n", "x.yaml:2:7: *r stands inside of what it refers to: an alias cannot contain itself"},
		"own cycle":        {"receivers: &r [*r]\n", "x.yaml:1:16: *r stands inside of what it refers to"},
		"bomb":             {bomb(40), "x.yaml:19:6: the file has more than 1000000 values with aliases replaced: split it, or remove aliases of aliases"},
		"deep":             {"receivers: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "x.yaml:1:112: is nested deeper than 100 levels: "},
		"much deeper":      {"receivers: " + strings.Repeat("[", 20000), "x.yaml:1:1: not valid YAML: exceeded max depth of 10000"},
		"large":            {strings.Repeat("a", maxText+1), "x.yaml: is larger than 10 MiB: a configuration was expected"},
		"many values":      {"receivers: [" + strings.Repeat("a,", 2*maxNodes) + "a]", "x.yaml: has more than 1000000 values: split it"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, err := Parse("x.yaml", []byte(c.text))
			var e *Error
			require.ErrorAs(t, err, &e)
			assert.True(t, strings.HasPrefix(err.Error(), c.want), err.Error())
			assert.Less(t, time.Since(begin), 5*time.Second)
		})
	}
}

// A chain of aliases is as deep as it is long.
func TestDeepByAliases(t *testing.T) {
	var b strings.Builder
	b.WriteString("scrape_configs: []\na0: &a0 [x]\n")
	for i := 1; i <= 10000; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d]\n", i, i, i-1)
	}
	_, err := Parse("x.yaml", []byte(b.String()))
	require.ErrorContains(t, err, "is nested deeper than 100 levels once aliases are replaced")
}

func TestLoad(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
	path := filepath.Join(t.TempDir(), "x.yaml")
	require.NoError(t, os.WriteFile(path, []byte("receivers: {}"), 0o600))
	f, err := Load(path)
	require.NoError(t, err)
	assert.Equal(t, path, f.Name)
	_, err = Read("endless", endless{})
	require.EqualError(t, err, "endless: is larger than 10 MiB: a configuration was expected")
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("a"), len(p))), nil }

func TestLinesAndColumns(t *testing.T) {
	f := parse(t, "\xef\xbb\xbfreceivers:\r\n  prometheus/é:\r\n    config: {x: y}\r\n")
	assert.Equal(t, Position{3, 17}, f.PathPos("receivers::prometheus/é::config::x"))
	assert.Equal(t, "    config: {x: y}", f.Line(3))
	assert.Empty(t, f.Line(0))
	assert.Empty(t, f.Line(9))
	assert.Equal(t, Position{}, f.PathPos("receivers::none"))
}
