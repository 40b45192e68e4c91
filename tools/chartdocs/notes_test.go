// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/shlex"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/cli/values"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubiyabot/otelcol-runner/tools/chartdocs/internal/charts"
)

// TestNotes: the commands that the notes of a release give are about objects that this release has.
func TestNotes(t *testing.T) {
	seen := map[string]int{}
	for _, name := range installable {
		for _, file := range files(t, filepath.Join("charts", name, "ci"), "*-values.yaml") {
			given, err := charts.Values(values.Options{ValueFiles: []string{file}})
			require.NoError(t, err)
			release := charts.Release{Name: "prod", Namespace: "team", Values: given}
			notes, err := charts.Notes(root, name, release)
			require.NoError(t, err, file)
			objects, err := charts.Render(root, name, release)
			require.NoError(t, err, file)
			assert.NotRegexp(t, `<no value>|%!|\n\n\n`, notes, file)
			for _, match := range regexp.MustCompile(`(?m)^    ((?:kubectl|helm) .*)$`).FindAllStringSubmatch(notes, -1) {
				words, err := shlex.Split(strings.TrimSuffix(match[1], "&"))
				require.NoError(t, err)
				verb, rest := inNamespace(words, release.Namespace)
				require.NotEmpty(t, verb, "%s: another namespace: %s", file, match[1])
				seen[verb]++
				assert.NoError(t, about(objects, release, verb, rest), "%s: %s", file, match[1])
			}
		}
	}
	for _, verb := range []string{"kubectl create", "kubectl get", "kubectl rollout", "kubectl exec", "kubectl logs", "kubectl port-forward", "helm test"} {
		assert.Positive(t, seen[verb], "no notes with %s", verb)
	}
}

// inNamespace takes the namespace out of a command: its verb is empty where that is not the one expected.
func inNamespace(words []string, namespace string) (verb string, rest []string) {
	found := false
	for i := 1; i < len(words); i++ {
		if (words[i] == "--namespace" || words[i] == "-n") && i+1 < len(words) {
			found = words[i+1] == namespace
			i++
			continue
		}
		rest = append(rest, words[i])
	}
	if !found || len(rest) == 0 {
		return "", nil
	}
	return words[0] + " " + rest[0], rest[1:]
}

// about says why a command would not do what it is given for.
func about(objects []charts.Object, release charts.Release, verb string, arguments []string) error {
	switch verb {
	case "helm test":
		if len(arguments) != 1 || arguments[0] != release.Name {
			return fmt.Errorf("want the release and nothing else: with --logs Helm looks for a pod that is gone, not %q", arguments)
		}
		for _, object := range objects {
			if isTest(object) {
				return nil
			}
		}
		return fmt.Errorf("the release has no test")
	case "kubectl create": // secret generic NAME --from-file=KEY=PATH
		key, _, _ := strings.Cut(strings.TrimPrefix(arguments[len(arguments)-1], "--from-file="), "=")
		return mounted(objects, arguments[2], key)
	case "kubectl get":
		if arguments[0] == "secret" {
			return mounted(objects, arguments[1], "")
		}
		if arguments[0] != "pods" || arguments[1] != "--selector" {
			return fmt.Errorf("the test does not know %q", arguments)
		}
		return selected(objects, arguments[2])
	}
	for _, argument := range arguments {
		if kind, name, ok := strings.Cut(argument, "/"); ok {
			return exists(objects, kind, name, arguments[len(arguments)-1])
		}
	}
	return fmt.Errorf("the test does not know %s %q", verb, arguments)
}

// exists says whether there is an object, with that port where it is a Service.
func exists(objects []charts.Object, kind, name, port string) error {
	for _, object := range objects {
		if !strings.EqualFold(object.Kind(), kind) || object.Name() != name {
			continue
		}
		for _, each := range asList(charts.At(object, "spec", "ports")) {
			if fmt.Sprint(asMap(each)["port"]) == port {
				return nil
			}
		}
		if object.Kind() == "Service" {
			return fmt.Errorf("the Service %s has no port %s", name, port)
		}
		return nil
	}
	return fmt.Errorf("there is no %s %s", kind, name)
}

// mounted says whether a pod mounts a Secret, and that key of it.
func mounted(objects []charts.Object, name, key string) error {
	for _, object := range objects {
		for _, volume := range asList(podSpec(object)["volumes"]) {
			secret := asMap(asMap(volume)["secret"])
			if secret["secretName"] != name {
				continue
			}
			if key == "" {
				return nil
			}
			for _, item := range asList(secret["items"]) {
				if asMap(item)["key"] == key {
					return nil
				}
			}
		}
	}
	return fmt.Errorf("no pod mounts the Secret %s with the key %q", name, key)
}

// selected says whether a selector finds every pod that stays.
func selected(objects []charts.Object, text string) error {
	selector, err := labels.Parse(text)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if object.Kind() != "Deployment" && object.Kind() != "StatefulSet" {
			continue
		}
		of := labels.Set{}
		for key, value := range asMap(charts.At(object, "spec", "template", "metadata", "labels")) {
			of[key] = fmt.Sprint(value)
		}
		if !selector.Matches(of) {
			return fmt.Errorf("%s does not select the pods of %s", text, object.Name())
		}
	}
	return nil
}

// TestNotesWarnOfSubcharts: who installs the runner reads the warnings of the charts in it, with the keys that are set there.
func TestNotesWarnOfSubcharts(t *testing.T) {
	given := everything()
	given.Values["otel"].(map[string]any)["persistence"] = map[string]any{"enabled": false}
	given.Values["dagger"] = map[string]any{"networkPolicy": map[string]any{"enabled": false}}
	given.Values["kube-state-metrics"] = map[string]any{"networkPolicy": map[string]any{"enabled": false}}
	notes, err := charts.Notes(root, "runner", given)
	require.NoError(t, err)
	for _, warning := range []string{"otel.persistence.enabled is false", "dagger.networkPolicy.enabled is false", "kube-state-metrics.networkPolicy.enabled is false"} {
		assert.Contains(t, notes, "WARNING: "+warning)
	}
}

// TestCommandsOfReadmes: what the READMEs of the charts tell to do is about what their installation has, and renders.
func TestCommandsOfReadmes(t *testing.T) {
	checked := 0
	for _, name := range installable {
		path := filepath.Join("charts", name, "README.md")
		var installed []string // the flags of the installation
		var present map[string]bool
		for _, command := range indented(read(t, filepath.Join(root, path))) {
			words, err := shlex.Split(command)
			require.NoError(t, err, "%s: %s", path, command)
			if words[0] == "helm" {
				if words[1] == "install" {
					installed = words[4:]
					present = names(rendered(t, words[2:]))
				}
				if reuse := slices.Index(words, "--reuse-values"); reuse >= 0 {
					words = append(slices.Delete(words, reuse, reuse+1), installed...)
				}
				assert.NoError(t, renderCommand(".", words[2:]), "%s: %s", path, command)
				checked++
				continue
			}
			if words[1] == "create" {
				continue // a namespace, which is in none
			}
			verb, rest := inNamespace(words, "runner")
			if rest = slices.DeleteFunc(rest, func(word string) bool { return strings.HasPrefix(word, "-") }); verb == "kubectl rollout" {
				rest = rest[1:] // restart
			}
			if verb == "kubectl create" {
				continue // what is not there yet
			}
			require.GreaterOrEqual(t, len(rest), 2, "%s: another namespace, or no name: %s", path, command)
			if verb == "kubectl patch" {
				rest = rest[:2]
			}
			for _, object := range rest[1:] {
				assert.Contains(t, present, rest[0]+" "+object, "%s: %s", path, command)
				checked++
			}
		}
	}
	assert.GreaterOrEqual(t, checked, 9)
}

// indented returns the commands of the blocks that are indented, without those that show an error.
func indented(text string) []string {
	var all []string
	for _, match := range regexp.MustCompile(`(?m)^    ((?:kubectl|helm) .*)$`).FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", ""), -1) {
		all = append(all, match[1])
	}
	return all
}
