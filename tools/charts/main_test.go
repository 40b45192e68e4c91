// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // Helm says of each symbolic link that it followed it
	os.Exit(m.Run())
}

// loose is the chart with faults.
func loose(t *testing.T) *source {
	t.Helper()
	s, err := loadChart("testdata/loose")
	require.NoError(t, err)
	return s
}

func TestCoverageSeesEachBranch(t *testing.T) {
	plain := loose(t)
	c := &coverage{known: map[branch]int{}, taken: map[int]bool{}}
	marked, err := c.mark(plain)
	require.NoError(t, err)
	require.NoError(t, c.renderFile(plain, marked, plain.valuesFiles[0]))

	missing := func() (what []string) {
		for number, b := range c.branches {
			if !c.taken[number] {
				what = append(what, b.what)
			}
		}
		return what
	}
	assert.ElementsMatch(t, []string{
		"if .Values.switch", "if .Values.items", "range $i, $item := .Values.items", "else of with .Values.nested", `define "loose.unused"`,
	}, missing())

	_, err = c.renderMarked(marked, map[string]any{"switch": true, "items": []any{"a"}}, situations[0])
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"if .Values.items", "else of with .Values.nested", `define "loose.unused"`}, missing())
}

func TestCoverageKnowsATemplateInEveryChart(t *testing.T) {
	assert.Equal(t, "otel/templates/pdb.yaml", templateName("otel", "templates/pdb.yaml"))
	assert.Equal(t, "common/templates/_pod.tpl", templateName("runner", "charts/otel/charts/common/templates/_pod.tpl"))
}

func TestFuzzFindsWhatATemplateDidNotExpect(t *testing.T) {
	schemas, err := loadSchemas(t.Context())
	require.NoError(t, err)
	f, err := newFuzzer(loose(t), schemas)
	require.NoError(t, err)
	var found strings.Builder
	for seed := range uint64(60) {
		for _, v := range f.try(seed) {
			found.WriteString(v.Message + "\n")
		}
	}
	assert.Contains(t, found.String(), "nil pointer evaluating", "nested: null")
	assert.Contains(t, found.String(), "error converting YAML to JSON", "a colon in name")
	assert.Contains(t, found.String(), "/data/name", "name: yes")
}

func TestClear(t *testing.T) {
	assert.True(t, isClear(errors.New("values don't meet the specifications of the schema(s) in the following chart(s): otel")))
	assert.True(t, isClear(errors.New("execution error at (otel/templates/x.yaml:1:4): backend.preset is not set")))
	assert.False(t, isClear(errors.New(`template: otel/templates/x.yaml:1:4: executing "x" at <.Values.a.b>: nil pointer evaluating interface {}.b`)))
	assert.False(t, isClear(errors.New("YAML parse error on otel/templates/x.yaml: error converting YAML to JSON")))
}

func TestRefusal(t *testing.T) {
	r := refusal{file: "refused/otel/preset.yaml", want: "backend.preset is not set"}
	assert.Empty(t, r.check(errors.New("execution error at (x:1:4): backend.preset is not set: choose one")))
	assert.Contains(t, r.check(nil), "has to be refused")
	assert.Contains(t, r.check(errors.New("nil pointer evaluating")), "by accident")
	assert.Contains(t, r.check(errors.New("execution error at (x:1:4): something else")), "and not with")
}

func TestAllowances(t *testing.T) {
	a := &allowances{file: "allowed.yaml", used: map[[2]string]bool{}, list: []allowance{
		{Values: "otel/ci/a-values.yaml", Rules: []string{"resources-limits", "probe-host"}, Because: "of a reason"},
		{Values: "otel/ci/b-values.yaml"},
	}}
	left := a.without([]Violation{
		{Rule: "resources-limits", Source: "otel/ci/a-values.yaml"},
		{Rule: "resources-limits", Source: "otel/ci/c-values.yaml"},
	})
	assert.Equal(t, []Violation{{Rule: "resources-limits", Source: "otel/ci/c-values.yaml"}}, left)
	assert.Len(t, a.judge(), 2, "probe-host is not broken, and b has no reason")
}

func TestMoving(t *testing.T) {
	for image, want := range map[string]bool{
		"ghcr.io/a/b:v1.2.3":                     false,
		"ghcr.io/a/b:1.32.0-alpine":              false,
		"registry:5000/b@sha256:0123":            false,
		"registry:5000/b":                        true,
		"ghcr.io/a/b":                            true,
		"ghcr.io/a/b:latest":                     true,
		"ghcr.io/a/b:1.2":                        true,
		"ghcr.io/a/b:runner_v2":                  true,
		"":                                       true,
		"registry.example.com:5000/a/b:v0.1.0":   false,
		"registry.example.com/a/b:main@sha256:0": false,
	} {
		assert.Equal(t, want, moving(image), image)
	}
}

func TestSecretsIn(t *testing.T) {
	bytes := make([]byte, 48)
	_, err := rand.Read(bytes)
	require.NoError(t, err)
	// Without + and /, which would cut it into shorter ones.
	key := strings.NewReplacer("+", "a", "/", "b").Replace(base64.StdEncoding.EncodeToString(bytes))
	heading := "-----BEGIN " + "PRIVATE KEY-----"
	certificate := "-----BEGIN CERTIFICATE-----\n" + key + "\n-----END CERTIFICATE-----\n"

	assert.Len(t, secretsIn("apiKey: "+key), 1)
	assert.Len(t, secretsIn("a: b\n"+heading+"\n"), 1)
	assert.Len(t, secretsIn("crt: "+base64.StdEncoding.EncodeToString([]byte(heading+"\nfor the length of it"))), 1)
	assert.Len(t, secretsIn(certificate+"key: "+key), 1, "what follows a certificate is looked at again")
	for _, harmless := range []string{
		certificate,
		"crt: " + base64.StdEncoding.EncodeToString([]byte(certificate)),
		"image: a@sha256:" + strings.Repeat("0123456789abcdef", 4),
		"checksum/config: " + strings.Repeat("0123456789abcdef", 4),
		"app.kubernetes.io/kubiya-runner-component: tool-manager",
		"name: agent_manager_http_request_duration_seconds_bucket",
		"existingSecret: kubiya-runner-nats-creds-runner",
		"mail: someone@example.com",
	} {
		assert.Empty(t, secretsIn(harmless), harmless)
	}
}

const pod = `
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: runner, labels: {app: web}}
spec:
  containers: [{name: web, image: "a/b:v1.2.3"}]
`

func objectsOf(t *testing.T, manifest string) []Object {
	t.Helper()
	objects, err := parseObjects([]byte(manifest), "test.yaml")
	require.NoError(t, err)
	return objects
}

func TestSchemas(t *testing.T) {
	schemas, err := loadSchemas(t.Context())
	require.NoError(t, err)
	for name, test := range map[string]struct{ manifest, want string }{
		"a pod":              {manifest: pod},
		"unknown field":      {manifest: pod + "  hostNetwrok: true\n", want: "hostNetwrok"},
		"wrong type":         {manifest: pod + "  hostNetwork: 'yes'\n", want: "/spec/hostNetwork"},
		"null":               {manifest: pod + "  nodeSelector:\n", want: "/spec/nodeSelector"},
		"no amount":          {manifest: pod + "  overhead: {cpu: a lot}\n", want: "/spec/overhead/cpu"},
		"a kind nobody has":  {manifest: "apiVersion: apps/v1\nkind: Deploiment\nmetadata: {name: a}\n", want: "could not find schema"},
		"a version too old":  {manifest: "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: a}\n", want: "could not find schema"},
		"of another project": {manifest: "apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nmetadata: {name: a}\nspec: {selector: {}, jbLabel: a}\n", want: "jbLabel"},
	} {
		for _, version := range kubernetesVersions {
			violations := schemas.validate(version, objectsOf(t, test.manifest)[0])
			if test.want == "" {
				assert.Empty(t, violations, name)
				continue
			}
			if assert.Len(t, violations, 1, name) {
				assert.Contains(t, violations[0].Message, test.want, name)
			}
		}
	}
}

func TestCheckObjects(t *testing.T) {
	schemas, err := loadSchemas(t.Context())
	require.NoError(t, err)
	for name, test := range map[string]struct {
		manifest string
		want     []string
	}{
		"a pod":             {pod, nil},
		"twice":             {pod + "---" + pod, []string{ruleDuplicate}},
		"cluster-scoped":    {"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\nrules: [{verbs: ['*']}]", []string{ruleClusterScoped, ruleWildcard}},
		"nobody knows":      {"apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}", []string{ruleClusterScoped}},
		"a tag that moves":  {strings.Replace(pod, "v1.2.3", "stable", 1), []string{ruleMovingTag}},
		"a Secret":          {"apiVersion: v1\nkind: Secret\nmetadata: {name: a}", []string{ruleSecret}},
		"a label too long":  {strings.Replace(pod, "app: web", "app: "+strings.Repeat("a", 64), 1), []string{ruleMetadata}},
		"a name with a dot": {"apiVersion: v1\nkind: Service\nmetadata: {name: a.b}", []string{ruleMetadata}},
	} {
		assert.Equal(t, test.want, distinctRules(checkObjects(schemas, objectsOf(t, test.manifest))), name)
	}
}

func TestPodSecurityFindsThePodOfACronJob(t *testing.T) {
	cron := `
apiVersion: batch/v1
kind: CronJob
metadata: {name: job, namespace: runner}
spec:
  schedule: "@hourly"
  jobTemplate:
    spec:
      template:
        metadata: {labels: {LABELS}}
        spec:
          hostNetwork: true
          containers: [{name: a, image: a, securityContext: {privileged: true}}]
`
	rules := func(labels string) []string {
		return distinctRules(judgePod(objectsOf(t, strings.Replace(cron, "LABELS", labels, 1))[0]))
	}
	privileged, hostNetwork := "pod-security/privileged", "pod-security/hostNamespaces"
	assert.Contains(t, rules(""), privileged)
	assert.Contains(t, rules(exemptionLabel+": "+exemptionValue), privileged, "one label is not enough")
	assert.Contains(t, rules(componentLabel+": "+exemptionComponent), privileged, "nor is the other")
	both := rules(exemptionLabel + ": " + exemptionValue + ", " + componentLabel + ": " + exemptionComponent)
	assert.NotContains(t, both, privileged)
	assert.Contains(t, both, hostNetwork, "it is exempt from what it needs only")
}

func TestFixturesHaveTheirRule(t *testing.T) {
	ctx := context.Background()
	p, err := loadPolicies(ctx, "../../test/charts/policies/rego")
	require.NoError(t, err)
	p.ids["no-such-rule"] = true
	r := &report{out: io.Discard}
	judgeFixtures(ctx, "../../test/charts/policies/fixtures", p, r)
	var missing int
	for _, v := range r.violations {
		if v.Object == "no-such-rule" {
			missing++
		}
	}
	assert.Equal(t, 2, missing, "neither bad nor good")
}

// FuzzValues looks for values that a chart neither renders nor refuses with a clear message.
func FuzzValues(f *testing.F) {
	schemas, err := loadSchemas(context.Background())
	require.NoError(f, err)
	charts, err := loadCharts("../../charts")
	require.NoError(f, err)
	var fuzzers []*fuzzer
	for _, s := range charts {
		if len(s.valuesFiles) == 0 {
			continue
		}
		fuzzer, err := newFuzzer(s, schemas)
		require.NoError(f, err)
		fuzzers = append(fuzzers, fuzzer)
	}
	require.NotEmpty(f, fuzzers)
	for seed := range uint64(len(fuzzers)) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		assert.Empty(t, fuzzers[seed%uint64(len(fuzzers))].try(seed))
	})
}

func TestSizeIsThatOfTheWholeRelease(t *testing.T) {
	s := loose(t)
	figures, found := &Figures{}, &report{out: io.Discard}
	judgeSize([]*source{s}, figures, found)
	assert.Empty(t, found.violations)
	assert.Positive(t, figures.ReleaseBytes)

	large := make([]byte, maxRelease)
	_, err := rand.Read(large)
	require.NoError(t, err)
	s.raw = append(s.raw, &loader.BufferedFile{Name: "files/large", Data: large})
	judgeSize([]*source{s}, figures, found)
	require.NotEmpty(t, found.violations)
	assert.Equal(t, ruleSize, found.violations[0].Rule)
	assert.Greater(t, figures.ReleaseBytes, maxRelease)
}
