// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// The release that every chart is rendered for.
const (
	releaseName      = "runner"
	releaseNamespace = "runner-system"
)

// situation is what a chart may ask Helm about besides its values.
type situation struct {
	kubernetes string
	monitors   bool // the API of the Prometheus operator is there
	upgrade    bool
}

// situations together answer every question both ways.
var situations = []situation{
	{kubernetes: kubernetesVersions[0]},
	{kubernetes: kubernetesVersions[1], monitors: true},
	{kubernetes: kubernetesVersions[2], monitors: true, upgrade: true},
}

// source is a chart on disk.
type source struct {
	name        string
	dir         string
	raw         []*loader.BufferedFile
	library     bool
	valuesFiles []string
}

// loadCharts reads the charts below dir.
func loadCharts(dir string) ([]*source, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "Chart.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: there is no chart in it: run from tools/charts, or name the repository with -root", dir)
	}
	var charts []*source
	for _, file := range files {
		c, err := loadChart(filepath.Dir(file))
		if err != nil {
			return nil, err
		}
		charts = append(charts, c)
	}
	return charts, nil
}

func loadChart(dir string) (*source, error) {
	loaded, err := loader.LoadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	s := &source{name: loaded.Name(), dir: dir, library: loaded.Metadata.Type == "library"}
	for _, file := range loaded.Raw {
		s.raw = append(s.raw, &loader.BufferedFile{Name: file.Name, Data: file.Data})
	}
	s.valuesFiles, err = filepath.Glob(filepath.Join(dir, "ci", "*-values.yaml"))
	return s, err
}

// fresh parses the chart once more: rendering prunes the charts that are off, so none is rendered twice.
func (s *source) fresh() (*chart.Chart, error) { return loader.LoadFiles(s.raw) }

// label is how a values file is called in the report.
func (s *source) label(valuesFile string) string {
	return s.name + "/ci/" + filepath.Base(valuesFile)
}

func readValues(file string) (map[string]any, error) {
	data, err := os.ReadFile(file) //nolint:gosec // the path comes from a listing of the charts
	if err != nil {
		return nil, err
	}
	return chartutil.ReadValues(data)
}

// Object is one rendered object.
type Object struct {
	Source string // what rendered it
	YAML   []byte
	Doc    map[string]any
}

// String names the object as the policies do.
func (o Object) String() string {
	return fmt.Sprintf("%s/%s/%s", o.kind(), o.namespace(), o.str("metadata", "name"))
}

func (o Object) kind() string      { return o.str("kind") }
func (o Object) namespace() string { return o.str("metadata", "namespace") }

func (o Object) str(path ...string) string {
	s, _ := dig(o.Doc, path...).(string)
	return s
}

// dig walks down maps; nil where a key is missing.
func dig(value any, path ...string) any {
	for _, key := range path {
		m, _ := value.(map[string]any)
		value = m[key]
	}
	return value
}

// rehearse is `helm install --dry-run=client`: schema, engine, notes, hooks.
func rehearse(s *source, values map[string]any, in situation) (*release.Release, error) {
	c, err := s.fresh()
	if err != nil {
		return nil, err
	}
	version, err := chartutil.ParseKubeVersion(in.kubernetes)
	if err != nil {
		return nil, err
	}
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.DryRun, install.ClientOnly, install.IncludeCRDs, install.SubNotes = true, true, true, true
	install.ReleaseName, install.Namespace = releaseName, releaseNamespace
	install.KubeVersion, install.IsUpgrade = version, in.upgrade
	if in.monitors {
		install.APIVersions = monitorVersions
	}
	return install.Run(c, copyOf(values))
}

// render gives the objects of a release.
func render(s *source, values map[string]any, in situation, label string) ([]Object, error) {
	rehearsed, err := rehearse(s, values, in)
	if err != nil {
		return nil, err
	}
	var manifests bytes.Buffer
	manifests.WriteString(rehearsed.Manifest)
	for _, hook := range rehearsed.Hooks {
		fmt.Fprintf(&manifests, "---\n# Source: %s\n%s\n", hook.Path, hook.Manifest)
	}
	return parseObjects(manifests.Bytes(), label)
}

// copyOf is for Helm, which changes the values that it is given.
func copyOf(values map[string]any) map[string]any { return runtime.DeepCopyJSON(values) }

var monitorVersions = chartutil.VersionSet{"monitoring.coreos.com/v1", "monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/ServiceMonitor"}

// parseObjects reads a stream of YAML documents. A key that is there twice is an error.
func parseObjects(manifests []byte, label string) ([]Object, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests)))
	var objects []Object
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		var doc map[string]any
		if err := yaml.UnmarshalStrict(document, &doc); err != nil {
			return nil, fmt.Errorf("%s: not valid YAML: %w", firstLine(document), err)
		}
		if doc != nil {
			objects = append(objects, Object{Source: label, YAML: document, Doc: doc})
		}
	}
}

// firstLine is the comment with the template's name, where there is one.
func firstLine(document []byte) string {
	for line := range strings.Lines(string(document)) {
		if strings.HasPrefix(line, "# Source: ") {
			return strings.TrimSpace(strings.TrimPrefix(line, "# Source: "))
		}
	}
	return "a document"
}

func sortObjects(objects []Object) {
	slices.SortStableFunc(objects, func(a, b Object) int { return cmp.Compare(a.String(), b.String()) })
}
