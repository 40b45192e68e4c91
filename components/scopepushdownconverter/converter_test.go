// SPDX-License-Identifier: Apache-2.0

package scopepushdownconverter

import (
	"context"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/scope"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files")

// resolve resolves a configuration as the collector does, and returns what the converter logs.
func resolve(t *testing.T, uris ...string) (*confmap.Conf, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs:               uris,
		ProviderFactories:  []confmap.ProviderFactory{envprovider.NewFactory(), fileprovider.NewFactory(), yamlprovider.NewFactory()},
		ConverterFactories: []confmap.ConverterFactory{NewFactory()},
		ConverterSettings:  confmap.ConverterSettings{Logger: zap.New(core)},
		DefaultScheme:      "env",
	})
	require.NoError(t, err)
	conf, err := resolver.Resolve(context.Background())
	require.NoError(t, err)
	require.NoError(t, resolver.Shutdown(context.Background()))
	return conf, logs
}

// rulesOf returns the metric_relabel_configs of each job of a receiver, by the job's name.
func rulesOf(t *testing.T, conf *confmap.Conf, receiver string) map[string][]*relabel.Config {
	t.Helper()
	text, err := yaml.Marshal(conf.Get("receivers::" + receiver + "::config::scrape_configs"))
	require.NoError(t, err)
	var jobs []struct {
		Name  string            `yaml:"job_name"`
		Rules []*relabel.Config `yaml:"metric_relabel_configs"`
	}
	require.NoError(t, yaml.Unmarshal(text, &jobs))
	out := map[string][]*relabel.Config{}
	for _, j := range jobs {
		out[j.Name] = j.Rules
	}
	return out
}

// setRunnerEnv sets the variables without which configs/collector.yaml does not resolve.
func setRunnerEnv(t *testing.T) {
	t.Helper()
	for _, name := range []string{"RUNNER_ORGANIZATION", "RUNNER_NAME", "RUNNER_NAMESPACE", "REMOTE_WRITE_URL"} {
		t.Setenv(name, "x")
	}
}

func TestReferenceConfiguration(t *testing.T) {
	setRunnerEnv(t)
	conf, logs := resolve(t, "file:../../configs/collector.yaml")
	assert.Empty(t, logs.All())
	rules := rulesOf(t, conf, "prometheus")
	require.Len(t, rules, 5)
	jobs := map[string][]string{} // by their rule
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		require.Len(t, rules[name], 2, name)
		assert.False(t, IsDerived(rules[name][0]), "what the file says comes first")
		assert.True(t, IsDerived(rules[name][1]))
		derived, err := yaml.Marshal(rules[name][1])
		require.NoError(t, err)
		jobs[string(derived)] = append(jobs[string(derived)], name)
	}
	var text strings.Builder
	for _, rule := range slices.Sorted(maps.Keys(jobs)) {
		text.WriteString("# " + strings.Join(jobs[rule], ", ") + "\n" + strings.ReplaceAll(rule, "|", "\n  |") + "\n")
	}
	golden := filepath.Join("testdata", "collector.txt")
	if *rewrite {
		require.NoError(t, os.WriteFile(golden, []byte(text.String()), 0o600))
	}
	want, err := os.ReadFile(golden) //nolint:gosec // a fixed path
	require.NoError(t, err)
	assert.Equal(t, string(want), text.String(), "run this test with -rewrite, and read the difference")
}

const base = `yaml:
receivers:
  prometheus:
    config:
      scrape_configs:
        - job_name: a
          static_configs: [{targets: [localhost:1]}]
          metric_relabel_configs: [{source_labels: [__name__], regex: x, action: drop}]
processors:
  runner:
    scope:
      metrics: {profile: none, include: [kept], exclude: []}
service:
  pipelines:
    metrics: {receivers: [prometheus], processors: [memory_limiter, batch, runner, resource]}
`

func TestConvert(t *testing.T) {
	// with overlays base with more YAML, and looks at the last rule of job a.
	with := func(overlay string) (derived *relabel.Config, log string) {
		t.Helper()
		uris := []string{base}
		if overlay != "" {
			uris = append(uris, "yaml:\n"+overlay)
		}
		conf, logs := resolve(t, uris...)
		var b strings.Builder
		for _, e := range logs.All() {
			b.WriteString(e.Message)
			for _, v := range e.ContextMap() {
				b.WriteString(" ")
				b.WriteString(toText(v))
			}
		}
		rules := rulesOf(t, conf, "prometheus")["a"]
		if n := len(rules); n > 0 && rules[n-1] != nil && IsDerived(rules[n-1]) {
			derived = rules[n-1]
		}
		return derived, b.String()
	}
	converted := func(overlay string) *relabel.Config {
		t.Helper()
		rule, log := with(overlay)
		assert.Empty(t, log)
		require.NotNil(t, rule, "not converted")
		return rule
	}
	left := func(overlay, why string) {
		t.Helper()
		rule, log := with(overlay)
		assert.Nil(t, rule, "converted")
		if why == "" {
			assert.Empty(t, log)
			return
		}
		assert.Contains(t, log, "What is out of scope is not dropped at the scrape")
		assert.Contains(t, log, why)
	}
	job := func(keys string) string {
		return "receivers: {prometheus: {config: {scrape_configs: [{job_name: a, " + keys + "}]}}}"
	}
	rule := converted("")
	assert.Equal(t, model.LabelNames{"__name__"}, rule.SourceLabels)
	assert.True(t, rule.Regex.MatchString("kept_bucket"))
	assert.False(t, rule.Regex.MatchString("other"))
	converted(job("metric_relabel_configs: []"))
	converted(job("metric_relabel_configs: "))
	converted(job("sample_limit: 0"))

	// Which pipelines.
	pipelines := func(text string) string { return "service: {pipelines: {" + text + "}}" }
	converted(pipelines("logs: {receivers: [prometheus]}"))
	converted(pipelines("metrics/2: {receivers: [otlp], processors: [metrics_transform]}"))
	converted(pipelines("metrics/2: {receivers: [prometheus], processors: [runner]}"))
	left(pipelines("metrics/2: {receivers: [prometheus], processors: [metrics_transform, runner]}"), "metrics_transform comes before a runner processor")
	left(pipelines("metrics/2: {receivers: [prometheus], processors: [batch]}"), "there is no runner processor")
	left(pipelines("metrics/2: {receivers: [prometheus]}"), "there is no runner processor")
	left(pipelines("metrics: {receivers: [otlp]}"), "")
	left("service: {pipelines: 7}", "expected type")

	// Which scope.
	both := converted("processors: {runner/2: {scope: {metrics: {profile: none, include: [more]}}}}\n" +
		pipelines("metrics/2: {receivers: [prometheus], processors: [runner/2]}"))
	assert.True(t, both.Regex.MatchString("kept") && both.Regex.MatchString("more"))
	stage1 := converted("processors: {runner/2: }\n" + pipelines("metrics: {receivers: [prometheus], processors: [runner/2]}"))
	assert.True(t, stage1.Regex.MatchString("kube_pod_info"), "the profile is the default")
	left("processors: {runner: {scope: {pushdown: false}}}", "")
	left("processors: {runner/2: {scope: {pushdown: false}}}\n"+pipelines("metrics/2: {receivers: [prometheus], processors: [runner/2]}"), "")
	left("processors: {runner: {scope: {metrics: {include: [.*]}}}}", "")
	left(`processors: {runner: {scope: {metrics: {include: ["("]}}}}`, "scope::metrics::include[0]: invalid regexp")
	left("processors: {runner: {scope: {metrics: {includes: []}}}}", "includes")

	// Which receivers.
	left("receivers: {prometheus: {trim_metric_suffixes: true}}", "trim_metric_suffixes")
	left("receivers: {prometheus: {config: {global: {external_labels: {exporter: x}}}}}", "external_labels")
	converted("receivers: {prometheus: {config: {global: {external_labels: {region: x}}}}}")

	// Which jobs.
	left(job("sample_limit: 5"), "sample_limit counts")
	left("receivers: {prometheus: {config: {global: {label_limit: 5}}}}", "label_limit counts")
	left(job("relabel_configs: 5"), "reading the job")
	left(job("relabel_configs: [null]"), "a relabel rule is empty")
	left(job("metric_relabel_configs: [null]"), "a relabel rule is empty")

	// Whose targets can be the collector.
	for _, keys := range []string{
		"static_configs: [{labels: {exporter: otel-collector}}]", "http_sd_configs: []", "file_sd_configs: []",
		"relabel_configs: [{target_label: exporter, replacement: otel-collector}]", "relabel_configs: [{target_label: exporter, source_labels: [a]}]",
		"relabel_configs: [{action: LabelMap, regex: '__meta_(.+)'}]", "relabel_configs: [{target_label: '${1}', source_labels: [a]}]",
	} {
		keys = strings.ReplaceAll(keys, "$", "$$")
		passes := converted(job(keys))
		assert.Equal(t, model.LabelNames{"__name__", "exporter"}, passes.SourceLabels, keys)
		assert.True(t, passes.Regex.MatchString("other;otel-collector"))
		assert.True(t, passes.Regex.MatchString("kept;x") && passes.Regex.MatchString("kept;"))
		assert.False(t, passes.Regex.MatchString("other;x"))
		left(job("honor_labels: true, "+keys), "honor_labels can change")
		left(job("metric_relabel_configs: [{action: labeldrop, regex: exporter}], "+keys), "metric_relabel_configs can change")
		left(job("metric_relabel_configs: [{target_label: exporter}], "+keys), "metric_relabel_configs can change")
	}
	for _, keys := range []string{
		"static_configs: [{labels: {exporter: kube-state-metrics}}], honor_labels: true", "kubernetes_sd_configs: [{role: pod}]", "dns_sd_configs: []",
		"relabel_configs: [{target_label: exporter, replacement: kube-state-metrics}], metric_relabel_configs: [{action: labeldrop, regex: x}]",
	} {
		assert.Equal(t, model.LabelNames{"__name__"}, converted(job(keys)).SourceLabels, keys)
	}
}

func toText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return ""
}

// A dollar is a dollar when the converter has it: it must neither be expanded nor doubled again.
func TestDollars(t *testing.T) {
	conf, _ := resolve(t, base, "yaml:\n"+`processors: {runner: {scope: {metrics: {include: ["^a$$", "b{1,2}"]}}}}`,
		"yaml:\n"+`receivers: {prometheus: {config: {scrape_configs: [{job_name: a, relabel_configs: [{target_label: x, replacement: "$${1}"}]}]}}}`)
	rule := rulesOf(t, conf, "prometheus")["a"][0]
	assert.True(t, rule.Regex.MatchString("a") && rule.Regex.MatchString("bb_sum"))
	assert.False(t, rule.Regex.MatchString("bbb"))
	assert.Equal(t, "${1}", conf.Get("receivers::prometheus::config::scrape_configs").([]any)[0].(map[string]any)["relabel_configs"].([]any)[0].(map[string]any)["replacement"])
}

// What a reference stands for keeps both its forms, the number and the text, everywhere else.
func TestReferences(t *testing.T) {
	t.Setenv("NUMBER", "007")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return `"${file:` + path + `}"`
	}
	jobs := write("jobs.yaml", "[{job_name: a, static_configs: [{targets: [x]}]}]")
	config := write("config.yaml", "scrape_configs: [{job_name: a, static_configs: [{targets: [x]}]}]")
	receiver := write("receiver.yaml", "config: {scrape_configs: [{job_name: a}]}")
	rest := `processors: {runner: {metadata: {organization: "${env:NUMBER}"}, scope: {metrics: {profile: none, include: [kept]}}}}
service: {pipelines: {metrics: {receivers: [prometheus], processors: [runner]}}}
`
	for _, text := range []string{"{config: {scrape_configs: " + jobs + "}}", "{config: " + config + "}"} {
		conf, logs := resolve(t, "yaml:\nreceivers: {prometheus: "+text+"}\n"+rest)
		assert.Empty(t, logs.All())
		assert.Len(t, rulesOf(t, conf, "prometheus")["a"], 1, text)
		var runner struct {
			Processors map[string]struct {
				Metadata map[string]string `mapstructure:"metadata"`
			} `mapstructure:"processors"`
		}
		require.NoError(t, conf.Unmarshal(&runner, confmap.WithIgnoreUnused()))
		assert.Equal(t, "007", runner.Processors["runner"].Metadata["organization"])
	}
	conf, logs := resolve(t, "yaml:\nreceivers: {prometheus: "+receiver+"}\n"+rest)
	assert.Empty(t, rulesOf(t, conf, "prometheus")["a"])
	require.Len(t, logs.All(), 1)
	assert.Contains(t, logs.All()[0].ContextMap()["error"], "let config itself refer to a file")
}

// Nothing that somebody may write makes the converter panic, or repairs what the collector would refuse.
func TestMalformed(t *testing.T) {
	for _, text := range []string{
		"receivers: ", "receivers: x", "receivers: {prometheus: }", "receivers: {prometheus: x}", "receivers: {prometheus: {config: }}",
		"receivers: {prometheus: {config: [x]}}", "receivers: {prometheus: {config: {scrape_configs: x, global: [y]}}}",
		"receivers: {prometheus: {config: {scrape_configs: [x, null, 7, {}]}}}", "receivers: {prometheus: {config: {scrape_configs: [{static_configs: x}]}}}",
		"receivers: {prometheus: {config: {scrape_configs: [{metric_relabel_configs: x}]}}}",
	} {
		text += "\nprocessors: {runner: }\nservice: {pipelines: {metrics: {receivers: [prometheus], processors: [runner]}}}\n"
		conf, _ := resolve(t, "yaml:\n"+text)
		var want map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(text), &want))
		got, err := yaml.Marshal(conf.ToStringMap()["receivers"])
		require.NoError(t, err)
		if strings.Contains(string(got), marker) {
			assert.Contains(t, text, "{}", "only a job that can be read gets a rule")
			continue
		}
		before, err := yaml.Marshal(want["receivers"])
		require.NoError(t, err)
		assert.Equal(t, string(before), string(got), text)
	}
}

func TestDerive(t *testing.T) {
	m, err := scope.NewMetrics("stage1", nil, nil)
	require.NoError(t, err)
	rule, ok := Derive(false, m)
	require.True(t, ok)
	require.NoError(t, rule.Validate(model.UTF8Validation))
	assert.True(t, IsDerived(rule))
	assert.False(t, IsDerived(&relabel.Config{Action: relabel.Keep, Regex: relabel.MustNewRegexp("(a)")}))
	assert.False(t, IsDerived(&relabel.Config{Action: relabel.Drop, Regex: relabel.MustNewRegexp(marker + "a)")}))
	for _, name := range []string{"go_goroutines", "http_requests_total", "kube_hpa_x", "up"} {
		assert.True(t, rule.Regex.MatchString(name), name)
	}
	m, err = scope.NewMetrics("none", []scope.Pattern{".+"}, nil)
	require.NoError(t, err)
	_, ok = Derive(false, m)
	assert.False(t, ok)
}
