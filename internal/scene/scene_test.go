// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestLoad(t *testing.T) {
	s, err := Load("testdata/scene.yaml")
	require.NoError(t, err)
	assert.Equal(t, "runner", s.Namespace)
	assert.Equal(t, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), s.Start)
	assert.Equal(t, []time.Duration{0, time.Minute, 2 * time.Minute}, s.Times())
	assert.Empty(t, s.Unused())

	body := func(at time.Duration, host, port, path string) string {
		page, found := s.At(at).Page(host, port, path)
		if !found {
			return "nothing listens"
		}
		if page.Status != http.StatusOK {
			return http.StatusText(page.Status)
		}
		return string(page.Body)
	}
	assert.Equal(t, "web 1\n", body(0, "10.9.9.1", "8080", "/metrics"), "the exact name comes first")
	assert.Equal(t, "any 1\n", body(0, "10.9.9.2", "8080", "/metrics"))
	assert.Equal(t, "probe_a 1\n", body(0, "10.9.9.1", "8080", "/probe?target=a"))
	assert.Equal(t, "Not Found", body(0, "10.9.9.1", "8080", "/probe?target=b"))
	assert.Equal(t, "web 1\n", body(0, "10.9.9.1", "8080", "/metrics?x=y"))
	assert.Equal(t, "nothing listens", body(0, "10.9.9.1", "8081", "/metrics"))
	assert.Equal(t, "Service Unavailable", body(0, "10.1.2.3", "9100", "/metrics"))
	assert.Equal(t, "web 1\n", body(59*time.Second, "10.9.9.1", "8080", "/metrics"))
	assert.Equal(t, "web 2\n", body(time.Minute, "10.9.9.1", "8080", "/metrics"))
	assert.Equal(t, "nothing listens", body(time.Minute, "10.9.9.2", "8080", "/metrics"), "the pod is gone")
	assert.Equal(t, "nothing listens", body(time.Minute, "10.9.9.3", "8080", "/metrics"), "the pod is not there yet")
	assert.Equal(t, "any 1\n", body(time.Hour, "10.9.9.3", "8080", "/metrics"))

	zipped, found := s.At(0).Page("2001:db8::1", "80", "/metrics")
	assert.True(t, found)
	assert.Equal(t, "gzip", zipped.Encoding)
	assert.Contains(t, zipped.ContentType, "openmetrics-text")

	assert.Len(t, s.At(0).Targets["dns-job"], 1)
	assert.Empty(t, s.At(2 * time.Minute).Targets["dns-job"])
	assert.Contains(t, s.At(2*time.Minute).Targets, "dns-job", "no targets is not the same as asking discovery")
}

func TestLivePage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("live 1\n")) // the test reads it
	}))
	defer server.Close()
	s, err := (&Spec{Pages: map[string]PageSpec{"h:1/m": {Live: server.URL}}}).Load(".")
	require.NoError(t, err)
	page, found := s.At(0).Page("h", "1", "/m")
	assert.True(t, found)
	assert.Equal(t, Page{Key: "h:1/m", Status: http.StatusTeapot, ContentType: "text/plain; version=0.0.4", Body: []byte("live 1\n"), Unpacked: 7}, page)
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	_, err := w.Write(make([]byte, maxPage+1))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	write("bomb.prom.gz", bomb.Bytes())
	write("torn.prom.gz", bomb.Bytes()[:100])
	write("plain.prom.gz", []byte("web 1\n"))
	big, err := os.Create(filepath.Join(dir, "big.prom")) //nolint:gosec // a file of the test
	require.NoError(t, err)
	require.NoError(t, big.Truncate(1<<30))
	require.NoError(t, big.Close())

	for text, want := range map[string]string{
		`pages: {a: x}`:                               "scene::pages::a: no path: write pod/NAME:PORT/PATH",
		`pages: {a/metrics: x}`:                       "scene::pages::a/metrics: no port: write",
		`pages: {"pod/[a:80/metrics": x}`:             "no port",
		`pages: {"pod/a\\:80/metrics": x}`:            "not a pattern of names",
		`pages: {"a:80/m": gone.prom}`:                "gone.prom: no such file or directory: check the path, which is relative to the file that names it",
		`pages: {"a:80/m": bomb.prom.gz}`:             "bomb.prom.gz has more than 40 MiB when it is unpacked",
		`pages: {"a:80/m": torn.prom.gz}`:             "torn.prom.gz is damaged gzip",
		`pages: {"a:80/m": plain.prom.gz}`:            "plain.prom.gz is not gzip",
		`pages: {"a:80/m": big.prom}`:                 "big.prom has more than 40 MiB: is it the right file?",
		`pages: {"a:80/m": {live: "ftp://x"}}`:        `live: "ftp://x" is no URL of a page`,
		`pages: {"a:80/m": {live: "http://[::1]:1"}}`: "is the target up?",
		`pages: {"a:80/m": {}}`:                       "line 1: a page is one of file, text, live and status: name one of them",
		`pages: {"a:80/m": {text: a, file: b}}`:       "a page is one of file, text, live and status",
		`pages: {"a:80/m": {txt: a}}`:                 "line 1: field txt not found in a page",
		`pages: {"a:80/m": {status: 1000}}`:           "status 1000 is none of HTTP's",
		`pages: {"a:80/m": [a]}`:                      "a page is a path or a mapping",
		`manifests: [gone.yaml]`:                      "scene::manifests: open",
		`manifests: ["gone-*.yaml"]`:                  `scene::manifests: "gone-*.yaml" matches no file`,
		`manifests: ["[.yaml"]`:                       "mend the pattern",
		`targets: {j: [{targets: [""]}]}`:             "scene::targets::j[0]::targets: an empty address",
		`targets: {j: [{labels: {"": x}}]}`:           "not a label name",
		`steps: [{at: 0s}]`:                           "scene::steps[0]::at: 0s is not after the one before, 0s: put the steps in order",
		`steps: [{at: 1m}, {at: 30s}]`:                "scene::steps[1]::at: 30s is not after the one before, 1m",
		`steps: [{at: 1m, delete: [pod/none]}]`:       "scene::steps[0]::delete: ",
		`start: 1999-01-01T00:00:00Z`:                 "is too early",
	} {
		var spec Spec
		err := yaml.Unmarshal([]byte(text), &spec)
		if err == nil {
			_, err = spec.Load(dir)
		}
		assert.ErrorContains(t, err, want, text)
	}

	write("unknown.yaml", []byte("scene: {manifest: []}"))
	_, err = Load(filepath.Join(dir, "unknown.yaml"))
	require.ErrorContains(t, err, "unknown.yaml: yaml: unmarshal errors:\n  line 1: field manifest not found")
	write("test.yaml", []byte("config: x\nscene: empty-scene.yaml\ncases: [{name: a}]"))
	write("empty-scene.yaml", []byte("scene: {}"))
	loaded, err := Load(filepath.Join(dir, "test.yaml"))
	require.NoError(t, err, "the scene of a test file")
	require.Equal(t, "default", loaded.Namespace)
	write("empty.yaml", nil)
	_, err = Load(filepath.Join(dir, "empty.yaml"))
	require.ErrorContains(t, err, "no scene in it")
}

func TestPageOfAURL(t *testing.T) {
	s, err := (&Spec{Pages: map[string]PageSpec{"http://sd.example/targets?x=y": {Text: "a"}, "https://[2001:db8::1]:8443/": {Text: "b"}, "https://h/m": {Text: "c"}}}).Load(".")
	require.NoError(t, err)
	for _, want := range [][4]string{{"sd.example", "80", "/targets?x=y", "a"}, {"2001:db8::1", "8443", "/", "b"}, {"h", "443", "/m", "c"}} {
		page, found := s.At(0).Page(want[0], want[1], want[2])
		assert.True(t, found, want)
		assert.Equal(t, want[3], string(page.Body))
	}
}

func TestUnused(t *testing.T) {
	s, err := (&Spec{
		Manifests: []string{"a-manifest.yaml"},
		Pages:     map[string]PageSpec{"pod/web-0:8080/metrics": {Text: "x"}, "pod/wbe-*:8080/metrics": {Text: "x"}, "a:1/m": {Text: "x"}},
	}).Load("testdata")
	require.NoError(t, err)
	assert.Equal(t, []string{"pod/wbe-*:8080/metrics"}, s.Unused())
}

func TestPageSpecRoundTrip(t *testing.T) {
	for _, p := range []PageSpec{{File: "a.prom"}, {Text: "x"}, {Status: 500}, {File: "a", ContentType: "b"}} {
		text, err := yaml.Marshal(p)
		require.NoError(t, err)
		var back PageSpec
		require.NoError(t, yaml.Unmarshal(text, &back))
		assert.Equal(t, p, back)
	}
}

func FuzzSpec(f *testing.F) {
	text, err := os.ReadFile("testdata/scene.yaml")
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte("scene: {pages: {a:1/m: {text: x}}}"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("live")) || bytes.Contains(text, []byte("/")) && bytes.Contains(text, []byte("..")) {
			t.Skip("nothing outside is asked")
		}
		path := filepath.Join(t.TempDir(), "scene.yaml")
		require.NoError(t, os.WriteFile(path, text, 0o600))
		s, err := Load(path)
		if err == nil {
			s.At(time.Hour).Page("10.9.9.1", "8080", "/metrics")
			s.Unused()
		}
	})
}
