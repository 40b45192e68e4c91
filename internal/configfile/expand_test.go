// SPDX-License-Identifier: Apache-2.0

package configfile

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

var environment = map[string]string{
	"NAME": "runner-1", "NUMBER": "007", "LIST": "[a, b]", "DOLLAR": "a$$b", "INNER": "NAME", "EMPTY": "", "QUOTED": `"x: y"`, "NESTED": "${env:NAME}", "NESTED_LIST": "[a, '${env:NAME}', $$]", "BAD": "a: [", "MAP": "{k: ${env:NAME}}",
}

func lookup(name string) (string, bool) {
	v, found := environment[name]
	return v, found
}

// asConfmap resolves a value as the collector does.
func asConfmap(t *testing.T, value string) (any, error) {
	t.Helper()
	factory := confmap.NewProviderFactory(func(confmap.ProviderSettings) confmap.Provider { return textProvider{value} })
	env := confmap.NewProviderFactory(func(confmap.ProviderSettings) confmap.Provider { return envProvider{} })
	r, err := confmap.NewResolver(confmap.ResolverSettings{URIs: []string{"text:x"}, DefaultScheme: "env", ProviderFactories: []confmap.ProviderFactory{factory, env}})
	require.NoError(t, err)
	conf, err := r.Resolve(t.Context())
	if err != nil {
		return nil, err
	}
	return conf.ToStringMap()["receivers"], nil
}

type textProvider struct{ value string }

func (p textProvider) Retrieve(context.Context, string, confmap.WatcherFunc) (*confmap.Retrieved, error) {
	return confmap.NewRetrieved(map[string]any{"receivers": p.value})
}
func (textProvider) Scheme() string                 { return "text" }
func (textProvider) Shutdown(context.Context) error { return nil }

// envProvider is the collector's, with a map in the place of the environment.
type envProvider struct{ textProvider }

func (envProvider) Retrieve(_ context.Context, uri string, _ confmap.WatcherFunc) (*confmap.Retrieved, error) {
	name, fallback, hasDefault := strings.Cut(strings.TrimPrefix(uri, "env:"), ":-")
	if !variableName.MatchString(name) {
		return nil, fmt.Errorf("invalid name %q", name)
	}
	value, found := lookup(name)
	if !found && hasDefault && fallback == "" {
		return confmap.NewRetrieved("")
	}
	if !found {
		value = fallback
	}
	return confmap.NewRetrievedFromYAML([]byte(value))
}
func (envProvider) Scheme() string { return "env" }

// What a value becomes is what the collector makes of it.
func TestExpandIsConfmaps(t *testing.T) {
	for _, value := range []string{
		"plain", "$$", "$$1", "$1", "a$", "${env:NAME}", "x${env:NAME}y", "${NAME}", "${env:NUMBER}", "n${env:NUMBER}", "${env:NONE}", "${env:NONE:-}",
		"${env:NONE:-d}", "${env:NONE:-12}", "${env:NAME:-d}", "$${env:NAME}", "$$${env:NAME}", "$$$${env:NAME}", "${env:LIST}", "${env:DOLLAR}", "${env:${env:INNER}}",
		"${env:EMPTY}", "a${env:EMPTY}", "${env:EMPTY:-d}", "${env:QUOTED}", "${env:NESTED}", "a${env:NESTED}", "${env:BAD}", "}${env:NAME}", "{${env:NAME}", "${", "${}", "${1}", "x${1}", "$${1}", "${foo:bar}",
		"${env:NAME} ${env:NONE}", "${env:A B}", "(.+)${env:NONE}$$", "${env:MAP}", "${env:NESTED_LIST}", "${env:NONE:-a:-b}", "${x${env:NAME}", "${env:NAME}}",
	} {
		want, wantErr := asConfmap(t, value)
		f := parse(t, "service: {}\nreceivers: "+doubleQuoted(value))
		expanded, err := f.Expand(lookup)
		if wantErr != nil {
			assert.Error(t, err, "%q: %v", value, wantErr)
			continue
		}
		require.NoError(t, err, value)
		var got any
		require.NoError(t, Get(expanded.Root, "receivers").Decode(&got), value)
		assert.Equal(t, want, got, value)
		assert.Equal(t, value, Get(f.Root, "receivers").Value, "the file itself stays as it is")
	}
}

func TestExpandErrors(t *testing.T) {
	environment["CIRCLE"] = "${env:CIRCLE}"
	environment["GROWS"] = strings.Repeat("${env:LONG}", 100)
	environment["LONG"] = strings.Repeat("a", maxValue/50)
	environment["CYCLE"] = "&a [*a]"
	environment["BOMB"] = strings.Repeat("[", 2) + "'${env:BOMB}', '${env:BOMB}'" + strings.Repeat("]", 2)
	defer func() {
		for _, name := range []string{"CIRCLE", "GROWS", "LONG", "CYCLE", "BOMB"} {
			delete(environment, name)
		}
	}()
	for value, want := range map[string]string{
		"${1}":            `x.yaml:1:11: reference ${1}: "1" is no name of an environment variable: write $$ for a $ that Prometheus is to see`,
		"${file:x.yaml}":  "x.yaml:1:11: reference ${file:x.yaml}: only env is read here: put the content in its place",
		"${env:CIRCLE}":   "x.yaml:1:11: still has references after 100 replacements: remove the circle of variables",
		"b ${env:CIRCLE}": "x.yaml:1:11: still has references after 100 replacements: remove the circle of variables",
		"${env:GROWS}":    "x.yaml:1:11: is longer than 1048576 bytes with its references replaced: shorten the variables",
		"${env:BOMB}":     "x.yaml:1:11: still has references after 101 replacements: remove the circle of variables",
		"${env:CYCLE}":    "x.yaml:1:11: *a stands inside of what it refers to: an alias cannot contain itself",
	} {
		_, err := parse(t, `service: ["`+value+`"]`+"\nreceivers: {}").Expand(lookup)
		assert.EqualError(t, err, want)
	}
}

func TestExpandedFile(t *testing.T) {
	f := parse(t, `receivers:
  prometheus:
    config:
      scrape_configs:
        - job_name: ${env:NAME}-$$1
          relabel_configs: &r
            - {regex: "${env:NUMBER}$$", replacement: $$1, target_label: x}
        - {job_name: b, metric_relabel_configs: *r}
`)
	assert.True(t, f.HasReference(f.Root))
	assert.True(t, f.HasReference(f.Lookup("receivers::prometheus::config::scrape_configs[1]")))
	expanded, err := f.Expand(lookup)
	require.NoError(t, err)
	jobs := expanded.Jobs()
	assert.Equal(t, "runner-1-$1", jobs[0].Name)
	r := jobs[1].MetricRelabel()[0]
	assert.NoError(t, r.Err)
	assert.Empty(t, r.Unresolved)
	assert.Equal(t, "007$", r.Config.Regex.String())
	assert.Equal(t, "$1", r.Config.Replacement)
	assert.Equal(t, Position{7, 15}, r.Pos)
	assert.False(t, expanded.HasReference(expanded.Root))
	again, err := expanded.Expand(lookup)
	require.NoError(t, err)
	assert.Same(t, expanded, again)

	p := parse(t, "scrape_configs: [{job_name: '${env:NAME}'}]")
	same, err := p.Expand(lookup)
	require.NoError(t, err)
	assert.Same(t, p, same)
	assert.False(t, p.HasReference(p.Root))
}

func TestKnown(t *testing.T) {
	f := parse(t, `service: {a: "x$$", b: "${env:A:-30s}", c: "${env:A:-1}${env:B}", d: "${env:A:-${env:B:-2}}$$", e: [1]}`)
	for key, want := range map[string]string{"a": "x$", "b": "30s", "d": "2$"} {
		value, known := f.Known(Get(f.Root, "service", key))
		assert.True(t, known, key)
		assert.Equal(t, want, value, key)
	}
	_, known := f.Known(Get(f.Root, "service", "c"))
	assert.False(t, known)
}
