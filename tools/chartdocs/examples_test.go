// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/shlex"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/cli/values"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/kubiyabot/otelcol-runner/tools/chartdocs/internal/charts"
	"github.com/kubiyabot/otelcol-runner/tools/chartdocs/internal/schema"
)

// root is the repository.
const root = "../.."

// published is where the release puts the charts.
const published = "oci://ghcr.io/kubiyabot/charts/"

// strict decodes Kubernetes's own kinds and refuses fields that they do not have.
var strict = serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()

// files returns the files below a folder of the repository whose name matches.
func files(t *testing.T, folder, pattern string) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
		if matched, _ := filepath.Match(pattern, entry.Name()); matched && !entry.IsDir() {
			found = append(found, path)
		}
		return err
	}))
	require.NotEmpty(t, found, "%s/%s", folder, pattern)
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path) //nolint:gosec // a file of the repository
	require.NoError(t, err)
	return string(text)
}

func isValues(path string) bool { return strings.HasSuffix(path, "values.yaml") }

// check says what is wrong with an object: by its definition, or by Kubernetes's own types.
func check(kinds schema.Kinds, object charts.Object) error {
	err, known := kinds.Check(object)
	if known {
		return err
	}
	text, err := yaml.Marshal(object)
	if err != nil {
		return err
	}
	_, _, err = strict.Decode(text, nil, nil)
	return err
}

func TestObjectsOfExamples(t *testing.T) {
	kinds, err := schema.Load()
	require.NoError(t, err)
	for _, file := range files(t, "examples", "*.yaml") {
		if isValues(file) {
			continue
		}
		objects, err := charts.Objects(read(t, file))
		require.NoError(t, err, file)
		require.NotEmpty(t, objects, file)
		for _, object := range objects {
			assert.NoError(t, check(kinds, object), "%s: %s %s", file, object.Kind(), object.Name())
		}
	}
	// What it would say if there were something to say.
	for want, text := range map[string]string{
		`unknown field "automount"`:                   `{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}, automount: false}`,
		"spec.provider.vault.mount: there is no such": `{apiVersion: external-secrets.io/v1, kind: SecretStore, metadata: {name: a}, spec: {provider: {vault: {server: a, mount: b}}}}`,
		"no kind \"Bundle\" is registered":            `{apiVersion: trust.cert-manager.io/v1alpha1, kind: Bundle, metadata: {name: a}}`,
	} {
		objects, err := charts.Objects(text)
		require.NoError(t, err)
		assert.ErrorContains(t, check(kinds, objects[0]), want)
	}
}

// TestValuesInObjects renders what Argo CD and Flux would.
func TestValuesInObjects(t *testing.T) {
	rendered := 0
	for _, file := range files(t, "examples", "*.yaml") {
		if isValues(file) {
			continue
		}
		objects, err := charts.Objects(read(t, file))
		require.NoError(t, err)
		for _, object := range objects {
			var given, chart, namespace any
			switch object.Kind() {
			case "Application":
				given, chart = charts.At(object, "spec", "source", "helm", "valuesObject"), charts.At(object, "spec", "source", "chart")
				namespace = charts.At(object, "spec", "destination", "namespace")
			case "HelmRelease":
				given, chart = charts.At(object, "spec", "values"), charts.At(object, "spec", "chartRef", "name")
				namespace = charts.At(object, "metadata", "namespace")
			default:
				continue
			}
			require.NotNil(t, given, file)
			_, err := charts.Render(root, fmt.Sprint(chart), charts.Release{Name: "runner", Namespace: fmt.Sprint(namespace), Values: given.(map[string]any)})
			assert.NoError(t, err, file)
			rendered++

			given.(map[string]any)["otel"].(map[string]any)["backand"] = map[string]any{}
			_, err = charts.Render(root, fmt.Sprint(chart), charts.Release{Name: "runner", Namespace: "runner", Values: given.(map[string]any)})
			assert.ErrorContains(t, err, "backand", "%s: a wrong key is not refused", file)
		}
	}
	assert.GreaterOrEqual(t, rendered, 2)
}

// tools are the commands that a README may name. A word that is none of them is a mistake, or a tool that the README has to introduce.
var tools = []string{"argocd", "base64", "cosign", "crane", "flux", "helm", "kubectl", "skopeo", "gpg"}

var shell = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// commands returns the commands of a page, each with its continuation lines.
func commands(text string) []string {
	var all []string
	for _, block := range shell.FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", "")) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				all = append(all, line)
			}
		}
	}
	return all
}

func TestCommandsOfPages(t *testing.T) {
	pages := append(files(t, "examples", "README.md"), files(t, "docs/charts", "*.md")...)
	pages = append(pages, files(t, "charts", "UPGRADING.md")...)
	rendered := 0
	for _, page := range pages {
		for _, command := range commands(read(t, page)) {
			words, err := shlex.Split(command)
			require.NoError(t, err, "%s: %s", page, command)
			folder := filepath.Dir(page)
			switch {
			case strings.HasPrefix(words[0], "./"):
				assert.FileExists(t, filepath.Join(folder, words[0]), "%s: %s", page, command)
			case words[0] == "helm" && slices.Contains([]string{"install", "upgrade", "template"}, words[1]):
				assert.NoError(t, renderCommand(folder, words[2:]), "%s: %s", page, command)
				rendered++
			case words[0] == "kubectl" && words[1] == "apply":
				assert.FileExists(t, filepath.Join(folder, words[3]), "%s: %s", page, command)
			default:
				assert.Contains(t, tools, words[0], "%s: %s", page, command)
			}
		}
	}
	assert.GreaterOrEqual(t, rendered, 8)
}

// renderCommand renders what a command would install.
func renderCommand(folder string, words []string) error {
	flags := pflag.NewFlagSet("helm", pflag.ContinueOnError)
	var options values.Options
	flags.StringSliceVarP(&options.ValueFiles, "values", "f", nil, "")
	flags.StringArrayVar(&options.Values, "set", nil, "")
	flags.StringArrayVar(&options.FileValues, "set-file", nil, "")
	namespace := flags.StringP("namespace", "n", "default", "")
	flags.String("version", "", "")
	for _, name := range []string{"install", "create-namespace", "wait", "atomic"} {
		flags.Bool(name, false, "")
	}
	if err := flags.Parse(words); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return fmt.Errorf("a release and a chart are expected, not %q", flags.Args())
	}
	for i, file := range options.ValueFiles {
		options.ValueFiles[i] = filepath.Join(folder, file)
	}
	given, err := charts.Values(options)
	if err != nil {
		return err
	}
	chart := strings.TrimPrefix(strings.TrimPrefix(flags.Arg(1), published), "charts/")
	if archive := regexp.MustCompile(`^bundle/(\w+)-[0-9.]+\.tgz$`).FindStringSubmatch(chart); archive != nil {
		chart = archive[1]
	}
	_, err = charts.Render(root, chart, charts.Release{Name: flags.Arg(0), Namespace: *namespace, Values: given})
	return err
}

func TestScripts(t *testing.T) {
	for _, script := range files(t, "examples", "*.sh") {
		out, err := exec.CommandContext(t.Context(), "bash", "-n", script).CombinedOutput() //nolint:gosec // a file of the repository
		assert.NoError(t, err, "%s: %s", script, out)
		info, err := os.Stat(script)
		require.NoError(t, err)
		assert.NotZero(t, info.Mode()&0o100, "%s cannot be executed", script)
	}
}

// example renders the values of an example.
func example(t *testing.T, file string) []charts.Object {
	t.Helper()
	given, err := charts.Values(values.Options{ValueFiles: []string{filepath.Join(root, "examples", file)}})
	require.NoError(t, err)
	objects, err := charts.Render(root, "runner", charts.Release{Name: "runner", Namespace: "runner", Values: given})
	require.NoError(t, err, file)
	return objects
}

func TestEveryValuesFileRenders(t *testing.T) {
	for _, file := range files(t, "examples", "*values.yaml") {
		relative, err := filepath.Rel(filepath.Join(root, "examples"), file)
		require.NoError(t, err)
		example(t, relative)
	}
}

// TestSecretsOfTheStore: every Secret that a pod reads is one that secrets.yaml makes, with that key, and is read from a property that the README lists.
func TestSecretsOfTheStore(t *testing.T) {
	made := map[string][]string{}
	objects, err := charts.Objects(read(t, filepath.Join(root, "examples/external-secrets/secrets.yaml")))
	require.NoError(t, err)
	readme := read(t, filepath.Join(root, "examples/external-secrets/README.md"))
	for _, object := range objects {
		name := charts.Text(object, "spec", "target", "name")
		made[name] = slices.Collect(maps.Keys(asMap(charts.At(object, "spec", "target", "template", "data"))))
		for _, data := range charts.At(object, "spec", "data").([]any) {
			made[name] = append(made[name], charts.Text(asMap(data), "secretKey"))
			assert.Contains(t, readme, "`"+charts.Text(asMap(data), "remoteRef", "key")+"`")
			assert.Contains(t, readme, "`"+charts.Text(asMap(data), "remoteRef", "property")+"`")
		}
	}
	used := map[string]bool{}
	for _, object := range example(t, "external-secrets/values.yaml") {
		walk(map[string]any(object), func(node map[string]any) {
			if pull, ok := node["imagePullSecrets"].([]any); ok {
				for _, secret := range pull {
					name := charts.Text(asMap(secret), "name")
					used[name] = true
					assert.Contains(t, made, name)
				}
			}
			// A volume names it secretName, a part of a projected one name.
			secret, ok := node["secret"].(map[string]any)
			if !ok {
				return
			}
			name := charts.Text(secret, "secretName") + charts.Text(secret, "name")
			used[name] = true
			for _, item := range asList(secret["items"]) {
				assert.Contains(t, made[name], charts.Text(asMap(item), "key"), "%s %s reads %s", object.Kind(), object.Name(), name)
			}
		})
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(made)), slices.Collect(maps.Keys(used)))
}

func TestMirrorIsTheOnlyRegistry(t *testing.T) {
	for _, file := range []string{"private-registry/values.yaml", "air-gapped/values.yaml"} {
		found := imagesOf(example(t, file))
		require.NotEmpty(t, found)
		for _, image := range found {
			assert.True(t, strings.HasPrefix(image, "registry.example.com/mirror/"), "%s: %s", file, image)
		}
	}
	pull := 0
	for _, object := range example(t, "private-registry/values.yaml") {
		spec := podSpec(object)
		if spec == nil {
			continue
		}
		pull++
		assert.Equal(t, []any{map[string]any{"name": "mirror"}}, spec["imagePullSecrets"], "%s %s", object.Kind(), object.Name())
	}
	assert.Positive(t, pull)
}

// TestMeshPorts: the ports that take plain requests are those that are scraped or probed.
func TestMeshPorts(t *testing.T) {
	asked := map[string]string{}
	rendered := example(t, "service-mesh/istio-values.yaml")
	for _, object := range rendered {
		component := charts.Text(object, "metadata", "labels", "app.kubernetes.io/kubiya-runner-component")
		if object.Kind() != "Service" || charts.Text(object, "metadata", "annotations", "kubiya.io/probe") == "" {
			continue
		}
		for _, workload := range rendered {
			if workload.Kind() == "Deployment" && charts.Text(workload, "metadata", "labels", "app.kubernetes.io/kubiya-runner-component") == component {
				target := asMap(charts.At(object, "spec", "ports").([]any)[0])["targetPort"]
				asked[component] = portOf(podSpec(workload), target)
				if scraped := charts.Text(workload, "spec", "template", "metadata", "annotations", "prometheus.io/port"); scraped != "" {
					assert.Equal(t, scraped, asked[component], component)
				}
			}
		}
	}
	require.Len(t, asked, 4)
	objects, err := charts.Objects(read(t, filepath.Join(root, "examples/service-mesh/istio.yaml")))
	require.NoError(t, err)
	permissive := map[string]string{}
	for _, object := range objects {
		if object.Kind() != "PeerAuthentication" {
			continue
		}
		for port := range asMap(charts.At(object, "spec", "portLevelMtls")) {
			permissive[charts.Text(object, "spec", "selector", "matchLabels", "app.kubernetes.io/kubiya-runner-component")] = port
		}
	}
	assert.Equal(t, asked, permissive)
}

// portOf returns the number of a port that is named, or given as a number.
func portOf(spec map[string]any, port any) string {
	for _, container := range asList(spec["containers"]) {
		for _, declared := range asList(asMap(container)["ports"]) {
			if asMap(declared)["name"] == port {
				return fmt.Sprint(asMap(declared)["containerPort"])
			}
		}
	}
	return fmt.Sprint(port)
}
