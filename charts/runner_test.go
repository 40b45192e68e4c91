// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/legacyvalues"
)

// needed is all that README.md asks for.
var needed = []string{
	"--set", "global.organization=acme", "--set", "otel.backend.preset=prometheus",
	"--set", "otel.backend.endpoint=https://prometheus.example.com/api/v1/write",
}

func TestRunnerNeedsNoMoreThanItsReadmeSays(t *testing.T) {
	out, message := helm(t, needed...)
	assert.Empty(t, message)
	assert.Contains(t, out, "name: runner-tool-manager\n")

	_, message = helm(t, needed[2:]...)
	assert.Contains(t, message, "global.organization")
	_, message = helm(t, needed[:2]...)
	assert.Contains(t, message, "backend.preset")
}

// Helm refuses every key of the previous chart that has gone, names the new one and says why.
func TestRunnerRefusesOldKeysByName(t *testing.T) {
	entries, err := legacyvalues.Table()
	require.NoError(t, err)
	values := map[string]any{}
	var refused []legacyvalues.Entry
	for _, e := range entries {
		if e.Action == legacyvalues.Keep || covered(e, entries) {
			continue
		}
		set(values, e.Old, "old")
		refused = append(refused, e)
	}
	text, err := yaml.Marshal(values)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "old.yaml")
	require.NoError(t, os.WriteFile(path, text, 0o600))

	_, message := helm(t, append(needed, "--values", path)...)
	for _, e := range refused {
		key := "/" + strings.ReplaceAll(strings.TrimPrefix(e.Old, "dagger."), ".", "/") + "'"
		assert.Contains(t, message, key)
		// Helm writes texts with quotes around them.
		assert.Contains(t, message, strings.ReplaceAll(e.Reason, "'", `\'`), e.Old)
		assert.Contains(t, message, e.New, e.Old)
	}
}

func TestRunnerKeepsOldKeysThatWork(t *testing.T) {
	out, message := helm(t, append(needed, "--set", "uuid=123e4567-e89b-42d3-a456-426614174000", "--set", "fullnameOverride=acme",
		"--set", "imagePullSecrets[0].name=mirror", "--set", "nats.serverUrl=tls://bus.example.com:4443", "--set", "nats.subject=acme.prod",
		"--set", "agentManager.replicas=5", "--set", "agentManager.env.ENVIRONMENT=staging", "--set", "toolManager.image.tag=0.5.9")...)
	require.Empty(t, message)
	for _, want := range []string{
		"name: \"KUBIYA_AGENT_UUID\"\n              value: \"123e4567-e89b-42d3-a456-426614174000\"",
		"name: acme-agent-manager\n", "name: mirror\n", "port: 4443\n", "value: \"tls://bus.example.com:4443\"", "value: \"acme.prod\"",
		"replicas: 5\n", "name: \"ENVIRONMENT\"\n              value: \"staging\"", "image: \"ghcr.io/kubiyabot/tool-manager:0.5.9\"\n",
	} {
		assert.Contains(t, out, want)
	}
}

func TestRunnerRefusesWhatDoesNotGoTogether(t *testing.T) {
	f := func(want string, flags ...string) {
		t.Helper()
		_, message := helm(t, append(needed, flags...)...)
		assert.Contains(t, message, want)
	}
	f("registryTls.crt has a private key in it", "--set", "registryTls.crt=-----BEGIN PRIVATE"+" KEY-----")
	f("registryTls.crt is no certificate", "--set", "registryTls.crt=abc")
	f("registryTls.crt and registryTls.existingConfigMap are both set", "--set", "registryTls.crt=abc,registryTls.existingConfigMap=ca")
	f("imageUpdater.workloads is empty", "--set", "imageUpdater.enabled=true")
	f("dagger.externalEngine.address is set, and dagger.enabled is true", "--set", "dagger.externalEngine.address=tcp://builder:8080")
	f("begins with a registry", "--set", "agentManager.image.repository=ghcr.io/kubiyabot/agent-manager")
	f("did you mean agentManager.replicas?", "--set", "agentManager.replica=2")
	f("'/agentManager/extraRules/0/verbs/0'", "--set-json", `agentManager.extraRules=[{"apiGroups":[""],"resources":["pods"],"verbs":["*"]}]`)
}

// Names of releases and namespaces may be what names of other objects, or YAML, may not.
func TestRunnerTakesEveryNameThatHelmTakes(t *testing.T) {
	for name, release := range map[string]string{
		"dots": "my.runner", "a number": "007", "the longest": strings.Repeat("a23456789-", 5) + "abc", "a component's": "tools-otel",
	} {
		t.Run(name, func(t *testing.T) {
			out, message := template(t, release, "007", needed...)
			require.Empty(t, message)
			names := map[string]bool{}
			for decoder := yaml.NewDecoder(strings.NewReader(out)); ; {
				var object struct {
					Kind     string
					Metadata struct{ Name, Namespace yaml.Node }
				}
				err := decoder.Decode(&object)
				if errors.Is(err, io.EOF) {
					break
				}
				require.NoError(t, err)
				name := object.Metadata.Name.Value
				assert.Equal(t, "!!str", object.Metadata.Namespace.Tag, "%s %s", object.Kind, name)
				assert.Regexp(t, `^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`, name, object.Kind)
				if object.Kind == "StatefulSet" {
					assert.LessOrEqual(t, len(name), 52, name)
				}
				assert.False(t, names[object.Kind+" "+name], "%s %s is there twice", object.Kind, name)
				names[object.Kind+" "+name] = true
			}
			assert.Greater(t, len(names), 30)
		})
	}
}

// A new certificate of the registry replaces the pods that have read the old one, and no others.
func TestRunnerReplacesPodsForANewCertificate(t *testing.T) {
	f := func(text string) []string {
		t.Helper()
		out, message := helm(t, append(needed, "--set-string", "registryTls.crt=-----BEGIN CERTIFICATE-----\n"+text+"\n-----END CERTIFICATE-----")...)
		require.Empty(t, message)
		return regexp.MustCompile(`(?m)^        checksum/registry-ca: .*$`).FindAllString(out, -1)
	}
	first, second := f("YQ=="), f("Yg==")
	require.Len(t, first, 1)
	require.Len(t, second, 1)
	assert.NotEqual(t, first, second)
}

// Server-side apply refuses a name that is there twice.
func TestExtraVariablesTakeThePlaceOfTheCollectorsOwn(t *testing.T) {
	out, message := helm(t, append(needed, "--set", "otel.extraEnv[0].name=MY_POD_IP", "--set", "otel.extraEnv[0].value=[$(POD_IP)]")...)
	require.Empty(t, message)
	assert.Equal(t, 1, strings.Count(out, "name: MY_POD_IP\n"))
	assert.Contains(t, out, "- name: MY_POD_IP\n              value: '[$(POD_IP)]'\n")
}

// A node may have Windows, whatever else a nodeSelector says.
func TestPodsAskForLinux(t *testing.T) {
	out, message := helm(t, append(needed, "--set", "workflowEngine.nodeSelector.pool=tools",
		"--set", "jobs.report.schedule=@daily", "--set", "jobs.report.image.registry=ghcr.io", "--set", "jobs.report.image.repository=acme/report",
		"--set", "jobs.report.image.tag=v1.0.0")...)
	require.Empty(t, message)
	pods := strings.Count(out, "automountServiceAccountToken: false\n") - strings.Count(out, "\nkind: ServiceAccount\n")
	assert.Greater(t, pods, 7)
	assert.Equal(t, pods, strings.Count(out, "kubernetes.io/os: linux\n"))
	assert.Contains(t, out, "kubernetes.io/os: linux\n        pool: tools\n")
}

// covered says whether an entry of the table is below another one that is refused as a whole.
func covered(e legacyvalues.Entry, entries []legacyvalues.Entry) bool {
	for _, other := range entries {
		if other.Action != legacyvalues.Keep && strings.HasPrefix(e.Old, other.Old+".") {
			return true
		}
	}
	return false
}

// set sets the value at a path.
func set(values map[string]any, path string, value any) {
	key, rest, nested := strings.Cut(path, ".")
	if !nested {
		values[key] = value
		return
	}
	below, ok := values[key].(map[string]any)
	if !ok {
		below = map[string]any{}
		values[key] = below
	}
	set(below, rest, value)
}

// helm renders the chart runner, and gives what was rendered and what Helm says about it when it refuses.
func helm(t *testing.T, flags ...string) (rendered, message string) {
	t.Helper()
	return template(t, "runner", "runner", flags...)
}

func template(t *testing.T, release, namespace string, flags ...string) (rendered, message string) {
	t.Helper()
	path := filepath.Join("..", "bin", "helm")
	require.FileExists(t, path, "run `make bin/helm`")
	cmd := exec.CommandContext(t.Context(), path, append([]string{"template", release, "runner", "--namespace", namespace}, flags...)...) //nolint:gosec // a program of this repository
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		return string(out), ""
	}
	return "", stderr.String()
}
