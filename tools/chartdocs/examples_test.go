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

	"github.com/google/cel-go/cel"
	"github.com/google/shlex"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/cli/values"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
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
	for _, file := range append(files(t, "examples", "*.yaml"), files(t, "docs/charts", "*.yaml")...) {
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

// TestInstallationOfTheReadme: the first command that people copy needs the values that it names, and no others.
func TestInstallationOfTheReadme(t *testing.T) {
	var words []string
	for _, command := range indented(read(t, filepath.Join(root, "README.md"))) {
		if strings.HasPrefix(command, "helm install ") {
			var err error
			words, err = shlex.Split(command)
			require.NoError(t, err)
		}
	}
	require.NotEmpty(t, words, "README.md has no helm install")
	require.NoError(t, renderCommand(root, words[2:]))

	sets := 0
	for i := range words {
		if words[i] != "--set" {
			continue
		}
		sets++
		key, _, _ := strings.Cut(words[i+1], "=")
		assert.ErrorContains(t, renderCommand(root, slices.Delete(slices.Clone(words), i, i+2)[2:]), key, "without it")
	}
	assert.Equal(t, 3, sets)
}

// renderCommand says why what a command would install does not render.
func renderCommand(folder string, words []string) error {
	_, err := renderWords(folder, words)
	return err
}

// renderWords renders what the words of a command after its verb would install.
func renderWords(folder string, words []string) ([]charts.Object, error) {
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
		return nil, err
	}
	if flags.NArg() != 2 {
		return nil, fmt.Errorf("a release and a chart are expected, not %q", flags.Args())
	}
	for i, file := range options.ValueFiles {
		options.ValueFiles[i] = filepath.Join(folder, file)
	}
	given, err := charts.Values(options)
	if err != nil {
		return nil, err
	}
	chart := strings.TrimPrefix(strings.TrimPrefix(flags.Arg(1), published), "charts/")
	if archive := regexp.MustCompile(`^bundle/(\w+)-[0-9.]+\.tgz$`).FindStringSubmatch(chart); archive != nil {
		chart = archive[1]
	}
	return charts.Render(root, chart, charts.Release{Name: flags.Arg(0), Namespace: *namespace, Values: given})
}

// rendered renders what a command would install, without fail.
func rendered(t *testing.T, words []string) []charts.Object {
	t.Helper()
	objects, err := renderWords(".", words)
	require.NoError(t, err)
	return objects
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
	runner, err := charts.Load(root, "runner")
	require.NoError(t, err)
	for _, file := range files(t, "examples", "*values.yaml") {
		relative, err := filepath.Rel(filepath.Join(root, "examples"), file)
		require.NoError(t, err)
		example(t, relative)

		// Charts have to let any key of `global` pass, because others may have theirs there. An example has none of those.
		given, err := charts.Values(values.Options{ValueFiles: []string{file}})
		require.NoError(t, err)
		assert.Subset(t, slices.Collect(maps.Keys(asMap(runner.Values["global"]))), slices.Collect(maps.Keys(asMap(given["global"]))), file)
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
	const componentLabel = "app.kubernetes.io/kubiya-runner-component"
	rendered := example(t, "service-mesh/istio-values.yaml")
	meshed := map[string]charts.Object{}
	for _, object := range rendered {
		labels := asMap(charts.At(object, "spec", "template", "metadata", "labels"))
		if labels["sidecar.istio.io/inject"] == "true" {
			meshed[fmt.Sprint(labels[componentLabel])] = object
		}
	}
	asked := map[string]string{}
	for _, object := range rendered {
		name := charts.Text(object, "metadata", "labels", componentLabel)
		workload, ok := meshed[name]
		if object.Kind() != "Service" || !ok || charts.Text(object, "metadata", "annotations", "kubiya.io/probe") == "" {
			continue
		}
		asked[name] = portOf(podSpec(workload), asMap(asList(charts.At(object, "spec", "ports"))[0])["targetPort"])
		if scraped := charts.Text(workload, "spec", "template", "metadata", "annotations", "prometheus.io/port"); scraped != "" {
			assert.Equal(t, scraped, asked[name], name)
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

// TestExemptions: each exception lets off a pod with both labels, and no pod with one of them or none.
func TestExemptions(t *testing.T) {
	const folder = "docs/charts/exemption/"
	both := map[string]string{"kubiya.io/policy-exemption": "privileged-build-engine", "app.kubernetes.io/kubiya-runner-component": "dagger-engine"}
	pods := []map[string]string{both, {}}
	for label, value := range both {
		pods = append(pods, map[string]string{label: value})
	}
	for _, object := range everythingRendered(t) {
		if object.Kind() != "StatefulSet" || component(object) != "dagger-engine" {
			continue
		}
		for label, value := range both {
			assert.Equal(t, value, asMap(charts.At(object, "spec", "template", "metadata", "labels"))[label])
		}
	}
	gatekeeper := manifest(t, folder+"gatekeeper.yaml")
	kyverno := manifest(t, folder+"kyverno.yaml")[0]
	admission := manifest(t, folder+"admission-policy.yaml")[0]
	for i, pod := range pods {
		wantExempt := i == 0

		judged := false
		for _, constraint := range gatekeeper {
			judged = judged || selects(t, charts.At(constraint, "spec", "match", "labelSelector"), pod)
		}
		assert.Equal(t, wantExempt, !judged, "gatekeeper: %v", pod)

		match := asMap(asMap(asList(charts.At(kyverno, "spec", "match", "any"))[0])["resources"])
		assert.Equal(t, wantExempt, selects(t, match["selector"], pod), "kyverno: %v", pod)

		condition := charts.Text(asMap(asList(charts.At(admission, "spec", "matchConditions"))[0]), "expression")
		assert.Equal(t, wantExempt, !evaluate(t, condition, pod), "admission policy: %v", pod)
	}
}

func everythingRendered(t *testing.T) []charts.Object {
	t.Helper()
	objects, err := charts.Render(root, "runner", everything())
	require.NoError(t, err)
	return objects
}

func manifest(t *testing.T, path string) []charts.Object {
	t.Helper()
	objects, err := charts.Objects(read(t, filepath.Join(root, path)))
	require.NoError(t, err, path)
	require.NotEmpty(t, objects, path)
	return objects
}

func selects(t *testing.T, written any, pod map[string]string) bool {
	t.Helper()
	text, err := yaml.Marshal(written)
	require.NoError(t, err)
	var selector metav1.LabelSelector
	require.NoError(t, yaml.UnmarshalStrict(text, &selector))
	asked, err := metav1.LabelSelectorAsSelector(&selector)
	require.NoError(t, err)
	return asked.Matches(labels.Set(pod))
}

// evaluate asks an expression in CEL about a pod with these labels.
func evaluate(t *testing.T, expression string, pod map[string]string) bool {
	t.Helper()
	environment, err := cel.NewEnv(cel.OptionalTypes(), cel.Variable("object", cel.DynType))
	require.NoError(t, err)
	compiled, issues := environment.Compile(expression)
	require.NoError(t, issues.Err())
	program, err := environment.Program(compiled)
	require.NoError(t, err)
	metadata := map[string]any{}
	if len(pod) > 0 {
		metadata["labels"] = pod
	}
	result, _, err := program.Eval(map[string]any{"object": map[string]any{"metadata": metadata}})
	require.NoError(t, err)
	return result.Value().(bool)
}

// names are the kinds and names of objects, with the claims that a StatefulSet makes for its first pod.
func names(objects []charts.Object) map[string]bool {
	all := map[string]bool{}
	for _, object := range objects {
		all[strings.ToLower(object.Kind())+" "+object.Name()] = true
		for _, claim := range asList(charts.At(object, "spec", "volumeClaimTemplates")) {
			all["persistentvolumeclaim "+charts.Text(asMap(claim), "metadata", "name")+"-"+object.Name()+"-0"] = true
		}
	}
	return all
}

// TestNamesInPages: what pages tell to delete or patch is there under that name.
func TestNamesInPages(t *testing.T) {
	names := names(everythingRendered(t))
	found := 0
	for _, page := range files(t, "charts", "UPGRADING.md") {
		for _, match := range regexp.MustCompile("(?i)((?:statefulset|persistentvolumeclaim) `?[a-z0-9]+-[a-z0-9-]+)").FindAllStringSubmatch(read(t, page), -1) {
			assert.Contains(t, names, strings.ToLower(strings.ReplaceAll(match[1], "`", "")), page)
			found++
		}
	}
	assert.GreaterOrEqual(t, found, 4)
	workloads := asList(charts.At(everything().Values, "imageUpdater", "workloads"))
	require.NotEmpty(t, workloads)
	for _, workload := range workloads {
		assert.Contains(t, names, strings.ToLower(charts.Text(asMap(workload), "kind")+" "+charts.Text(asMap(workload), "name")))
	}
}

// TestLinksLead looks at the links of all pages here.
func TestLinksLead(t *testing.T) {
	pages := append(files(t, "examples", "*.md"), files(t, "docs/charts", "*.md")...)
	pages = append(pages, files(t, "charts", "*.md")...)
	pages = append(pages, filepath.Join(root, "docs/compatibility.md"))
	for _, page := range pages {
		text := read(t, page)
		for _, match := range regexp.MustCompile(`\]\(([^)#]*)(#[^)]+)?\)`).FindAllStringSubmatch(text, -1) {
			switch {
			case strings.HasPrefix(match[1], "https://"):
			case match[1] == "":
				assert.Contains(t, strings.ToLower(text), "## "+strings.ReplaceAll(strings.TrimPrefix(match[2], "#"), "-", " "), "%s: %s", page, match[0])
			default:
				_, err := os.Stat(filepath.Join(filepath.Dir(page), match[1]))
				assert.NoError(t, err, "%s: %s", page, match[1])
			}
		}
	}
}

// TestArtifactHubImages: what Artifact Hub scans is what each chart runs.
func TestArtifactHubImages(t *testing.T) {
	for _, name := range installable {
		chart, err := charts.Load(root, name)
		require.NoError(t, err)
		given := everything()
		if below, ok := given.Values[name].(map[string]any); ok {
			below["global"] = given.Values["global"]
			given.Values = below
		}
		switch name {
		case "otel":
			asMap(given.Values["presets"])["probes"] = map[string]any{"enabled": true}
		case "dagger":
			given.Values = nil
		}
		objects, err := charts.Render(root, name, given)
		require.NoError(t, err)
		var listed []struct{ Image string }
		require.NoError(t, yaml.Unmarshal([]byte(chart.Metadata.Annotations["artifacthub.io/images"]), &listed))
		var images []string
		for _, each := range listed {
			images = append(images, each.Image)
		}
		assert.ElementsMatch(t, imagesOf(objects), images, name)
	}
}

// TestUpToDate: the committed files are what would be written.
func TestUpToDate(t *testing.T) {
	require.NoError(t, run(root, true))
}
