// SPDX-License-Identifier: Apache-2.0

// Package charts renders the repository's Helm charts as `helm template` does, with Helm's own code.
package charts

import (
	"fmt"
	"io"
	"log"
	"path/filepath"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/cli/values"
	"helm.sh/helm/v3/pkg/getter"
	"helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// KubeVersion is the Kubernetes that charts are rendered for.
const KubeVersion = "v1.34.0"

func init() {
	// Helm's loader logs every symbolic link, and dependencies are symbolic links.
	log.SetOutput(io.Discard)
}

// Object is a Kubernetes object as it is written in a manifest.
type Object map[string]any

// Kind returns the kind of an object.
func (o Object) Kind() string {
	kind, _ := o["kind"].(string)
	return kind
}

// Name returns the name of an object.
func (o Object) Name() string { return Text(o, "metadata", "name") }

// Text returns the text at a path of keys, or nothing.
func Text(node map[string]any, path ...string) string {
	text, _ := At(node, path...).(string)
	return text
}

// At returns what is at a path of keys, or nil.
func At(node map[string]any, path ...string) any {
	var at any = node
	if object, ok := at.(Object); ok {
		at = map[string]any(object)
	}
	for _, key := range path {
		inner, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = inner[key]
	}
	return at
}

// Release is what a chart is rendered as.
type Release struct {
	Name, Namespace string
	// Values are laid over the chart's own, as by `--values`.
	Values map[string]any
}

// Load reads a chart of the repository.
func Load(root, name string) (*chart.Chart, error) {
	loaded, err := loader.LoadDir(filepath.Join(root, "charts", name))
	if err != nil {
		return nil, fmt.Errorf("charts/%s: %w", name, err)
	}
	return loaded, nil
}

// Render returns the objects of a chart, those of hooks and tests among them.
func Render(root, name string, given Release) ([]Object, error) {
	rendered, err := install(root, name, given)
	if err != nil {
		return nil, err
	}
	manifests := []string{rendered.Manifest}
	for _, hook := range rendered.Hooks {
		manifests = append(manifests, hook.Manifest)
	}
	return Objects(strings.Join(manifests, "\n---\n"))
}

// Notes returns what Helm says after an installation.
func Notes(root, name string, given Release) (string, error) {
	rendered, err := install(root, name, given)
	if err != nil {
		return "", err
	}
	return rendered.Info.Notes, nil
}

func install(root, name string, given Release) (*release.Release, error) {
	loaded, err := Load(root, name)
	if err != nil {
		return nil, err
	}
	version, err := chartutil.ParseKubeVersion(KubeVersion)
	if err != nil {
		return nil, err
	}
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.DryRun, install.ClientOnly = true, true
	install.KubeVersion = version
	install.ReleaseName, install.Namespace = given.Name, given.Namespace
	rendered, err := install.Run(loaded, given.Values)
	if err != nil {
		return nil, fmt.Errorf("charts/%s: %w", name, err)
	}
	return rendered, nil
}

// Objects reads a manifest of several documents.
func Objects(manifest string) ([]Object, error) {
	var objects []Object
	for document := range strings.SplitSeq("\n"+manifest, "\n---") {
		text, err := yaml.YAMLToJSONStrict([]byte(document))
		if err != nil {
			return nil, err
		}
		var object Object
		// Kubernetes's own: numbers are whole where they are written so.
		if err := json.Unmarshal(text, (*map[string]any)(&object)); err != nil {
			return nil, err
		}
		if len(object) > 0 {
			objects = append(objects, object)
		}
	}
	return objects, nil
}

// Values reads what `--values` and `--set` say.
func Values(options values.Options) (map[string]any, error) {
	return options.MergeValues(getter.All(cli.New()))
}
