// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
)

func TestDefaultConfig(t *testing.T) {
	require.NoError(t, componenttest.CheckConfigStruct(createDefaultConfig()))
	cfg := load(t)
	require.NoError(t, confmap.Validate(cfg))
	assert.Equal(t, "target", cfg.Instance)
	assert.Equal(t, "stage1", cfg.Scope.Metrics.Profile)
	assert.Equal(t, "redact", cfg.Scope.Secrets)
	assert.Equal(t, LimitsConfig{
		Series: 50000, SeriesPerMetric: 10000, SeriesPerComponent: 20000,
		LabelCount: 63, LabelNameLength: 511, LabelValueLength: 1023, TTL: 5 * time.Minute,
	}, cfg.Limits)
}

func TestConfigErrorsNameKeyFaultAndRemedy(t *testing.T) {
	fails := func(config string, want ...string) {
		t.Helper()
		err := confmap.Validate(load(t, config))
		require.Error(t, err)
		assert.Equal(t, strings.Join(want, "\n"), err.Error())
	}
	t.Setenv("SET_VARIABLE", "x")
	t.Setenv("EMPTY_VARIABLE", "")
	fails(`required_env: [SET_VARIABLE, EMPTY_VARIABLE, UNSET_VARIABLE]`,
		`required_env[1]: environment variable EMPTY_VARIABLE is not set or empty: set it where the collector is started`,
		`required_env[2]: environment variable UNSET_VARIABLE is not set or empty: set it where the collector is started`)
	fails(`metadata: {9lives: x}`, `metadata::9lives: not a valid label name: use letters, digits and underscores, and no digit first`)
	fails(`metadata: {a.b: x}`, `metadata::a.b: not a valid label name: use letters, digits and underscores, and no digit first`)
	fails(`metadata: {__name__: x}`, `metadata::__name__: names that begin with __ are Prometheus's own: rename it`)
	fails(`metadata: {a__b: x}`, `metadata::a__b: exporters merge runs of underscores, which would change the name: use single ones`)
	fails(`metadata: {exported_runner: x}`, `metadata::exported_runner: names that begin with otel_scope_ or exported_ are taken: rename it`)
	fails(`metadata: {job: x}`, `metadata::job: this label belongs to the target: rename it`)
	fails(`metadata: {runner: ""}`, `metadata::runner: empty value: a series without it cannot be told from another runner's; set the value or the environment variable that it is read from`)
	fails(`metadata: {runner: null}`, `metadata::runner: empty value: a series without it cannot be told from another runner's; set the value or the environment variable that it is read from`)
	fails(`instance: pod`, `instance: unknown value "pod": use target or organization`)

	fails(`scope: {namespaces: []}`, `scope: namespaces: empty, so that nothing could leave: name the runner's namespace, for example ["${env:RUNNER_NAMESPACE}"]`)
	fails(`scope: {components: []}`, `scope: components: empty, so that nothing could leave: name the components, for example [tool-manager, agent-manager]`)
	fails(`scope: {namespaces: [""]}`, `scope::namespaces::0: empty: name something, or remove the entry`)
	fails(`scope: {secrets: hide}`, `scope: secrets: unknown value "hide": use redact, drop or off`)
	fails(`scope: {metrics: {profile: stage2}}`, `scope::metrics: profile: unknown profile "stage2": use one of none, stage1`)
	fails(`scope: {metrics: {profile: none}}`, `scope::metrics: include: empty with profile none, so that no metric could leave: set profile: stage1 or include metrics`)
	fails(`scope: {metrics: {include: [a, b, c, "foo("]}}`, `scope::metrics::include::3: invalid regexp "foo(": missing closing ): fix or quote it`)
	fails(`scope: {metrics: {exclude: ["*"]}}`, `scope::metrics::exclude::0: invalid regexp "*": missing argument to repetition operator: fix or quote it`)
	fails(`scope: {metrics: {include: [a], exclude: [a]}}`, `scope::metrics: include[0]: "a" is in exclude too, which wins: remove one of them`)
	fails(`scope: {labels: {drop: ["[z-a]"]}}`, `scope::labels::drop::0: invalid regexp "[z-a]": invalid character class range: fix or quote it`)
	fails(`limits: {series: -1, ttl: 10s}`,
		`limits: series: -1 is negative: use a positive number, or 0 for no limit`+"\n"+`ttl: 10s is less than two of the longest scrape interval, 1m: use 2m or more`)
}

func TestEmptyMetadataAndOrganization(t *testing.T) {
	cfg := load(t, `instance: organization`)
	cfg.Metadata = nil
	assert.EqualError(t, cfg.Validate(), "metadata: empty: name the runner, for example {organization: acme, runner: r1}\n"+
		"instance: organization needs metadata::organization: set it, or use instance: target")
}

func TestUnusedRulesAreReported(t *testing.T) {
	h := newHarness(t, `scope: {metrics: {include: [tool_manger_runs, "sdk_.*"], exclude: [nothing]}, labels: {drop: [pod_ip]}}`)
	h.scrape(toolManager(), `sdk_runs`)
	require.Zero(t, h.logs.Len())
	p := h.inner
	p.now = func() time.Time { return time.Now().Add(unusedAfter) }
	h.scrape(toolManager(), `sdk_runs`)
	unused := map[string]string{}
	for _, e := range h.logs.FilterMessage("Some rules have matched nothing since the start: are they spelled right?").All() {
		for _, f := range e.Context {
			if f.Key == "rules" {
				unused[e.ContextMap()["key"].(string)] = strings.Trim(strings.ReplaceAll(strings.TrimSpace(fmt.Sprint(f.Interface)), `"`, ""), "[]")
			}
		}
	}
	assert.Equal(t, map[string]string{
		"scope::components": "agent-manager kube-state-metrics otel-collector", "scope::metrics::include": "tool_manger_runs",
		"scope::metrics::exclude": "nothing", "scope::labels::drop": "pod_ip",
	}, unused)
}
