// SPDX-License-Identifier: Apache-2.0

// Package scene holds what a configuration is tried on: the objects of a cluster, what its targets answer, and how both change.
// A scene is written down as YAML (Spec), by hand or by `runnerctl record`, and loaded with the files that it names (Scene).
package scene

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// Spec is a scene as it is written, under the key `scene` of a file of its own or of a test file. Paths are relative to that file
// and may be globs where a list is expected.
type Spec struct {
	// Namespace is the one that objects without a namespace are in, and that the runner's Role is for. Default: the variable
	// RUNNER_NAMESPACE of env, else `default`.
	Namespace string `yaml:"namespace,omitempty"`
	// ServiceAccount is whose Roles in the manifests say what discovery may ask for, if there are any for it. Default: otel-collector.
	ServiceAccount string `yaml:"service_account,omitempty"`
	// Start is the time of the first scrape. Default: 2026-01-01T00:00:00Z.
	Start time.Time `yaml:"start,omitempty"`
	// Env is what ${env:NAME} gives in the configuration. The environment of the process is never read.
	Env map[string]string `yaml:"env,omitempty"`
	// Manifests are files of Kubernetes objects: plain YAML, the output of `helm template` or of `kubectl get -o yaml`.
	Manifests []string `yaml:"manifests,omitempty"`
	// Pages are what targets answer, by pod/NAME:PORT/PATH, HOST:PORT/PATH or a URL. A `*` in the name of a pod stands for any text.
	// A target without a page refuses the connection, and a path that no page has is not found (404).
	Pages map[string]PageSpec `yaml:"pages,omitempty"`
	// Targets replace what a job's discovery finds, by job: for discovery that has nothing to ask here.
	Targets map[string][]TargetGroup `yaml:"targets,omitempty"`
	// Steps are what changes later, in the order of their times.
	Steps []StepSpec `yaml:"steps,omitempty"`
}

// StepSpec is one change. What it does not name stays as it is.
type StepSpec struct {
	// At is the time after the first scrape. Pages change at once; discovery notices objects within 15 s, as it does in a cluster.
	At model.Duration `yaml:"at"`
	// Pages are added or replaced.
	Pages map[string]PageSpec `yaml:"pages,omitempty"`
	// Delete removes objects, each as kind/name: pod/tool-manager-0.
	Delete []string `yaml:"delete,omitempty"`
	// Manifests are files of objects that are added or replaced.
	Manifests []string `yaml:"manifests,omitempty"`
	// Targets are added or replaced, by job.
	Targets map[string][]TargetGroup `yaml:"targets,omitempty"`
}

// TargetGroup is a group of targets with common labels, as http_sd and file_sd write it.
type TargetGroup struct {
	Targets []string          `yaml:"targets"`
	Labels  map[string]string `yaml:"labels,omitempty"`
}

// PageSpec is an answer. As YAML it is the path of a file, or a mapping with one of file, text, live and status.
type PageSpec struct {
	// File is the recorded page. Its suffix gives the content type: .om for OpenMetrics, .pb for delimited protobuf, anything
	// else for the Prometheus text format; .gz may follow.
	File string `yaml:"file,omitempty"`
	// Text is the page itself.
	Text string `yaml:"text,omitempty"`
	// Live is a URL that is asked once, when the scene is loaded.
	Live string `yaml:"live,omitempty"`
	// Status is the HTTP status. Default: 200.
	Status int `yaml:"status,omitempty"`
	// ContentType overrides the one that the file's suffix gives.
	ContentType string `yaml:"content_type,omitempty"`
}

// UnmarshalYAML takes a path alone as well.
func (p *PageSpec) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		return node.Decode(&p.File)
	}
	type plain PageSpec
	if err := knownKeys(node, "file", "text", "live", "status", "content_type"); err != nil {
		return err
	}
	if err := node.Decode((*plain)(p)); err != nil {
		return err
	}
	sources := 0
	for _, s := range []string{p.File, p.Text, p.Live} {
		if s != "" {
			sources++
		}
	}
	if sources > 1 || sources+p.Status == 0 {
		return fmt.Errorf("line %d: a page is one of file, text, live and status: name one of them", node.Line)
	}
	if p.Status != 0 && (p.Status < 100 || p.Status > 599) {
		return fmt.Errorf("line %d: status %d is none of HTTP's: use one from 100 to 599", node.Line, p.Status)
	}
	return nil
}

// MarshalYAML writes a path alone where that says it all.
func (p PageSpec) MarshalYAML() (any, error) {
	if p == (PageSpec{File: p.File}) {
		return p.File, nil
	}
	type plain PageSpec
	return plain(p), nil
}

// knownKeys reports a key that is none of these. The decoder's own check does not reach into custom unmarshallers.
func knownKeys(node *yaml.Node, keys ...string) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: a page is a path or a mapping", node.Line)
	}
next:
	for i := 0; i < len(node.Content); i += 2 {
		for _, k := range keys {
			if node.Content[i].Value == k {
				continue next
			}
		}
		return fmt.Errorf("line %d: field %s not found in a page: use one of %v", node.Content[i].Line, node.Content[i].Value, keys)
	}
	return nil
}

// maxSceneFile bounds the text of a scene or test file, in bytes.
const maxSceneFile = 10 << 20

// ReadFile reads a file of the user's that has at most limit bytes. The error names the file and says what to do.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("%w: check the path, which is relative to the file that names it", err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s has more than %d MiB: is it the right file?", path, limit>>20)
	}
	return content, nil
}

// Load reads the scene of a scene file or of a test file, and all that it names.
func Load(path string) (*Scene, error) {
	spec, path, err := read(path)
	if err != nil {
		return nil, err
	}
	s, err := spec.Load(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// read returns the scene that a file has, or names, and the file that it stands in.
func read(path string) (*Spec, string, error) {
	text, err := ReadFile(path, maxSceneFile)
	if err != nil {
		return nil, "", err
	}
	var named struct {
		Scene yaml.Node `yaml:"scene"`
	}
	if err := yaml.Unmarshal(text, &named); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	if named.Scene.Kind == yaml.ScalarNode && named.Scene.Tag == "!!str" { // a test file may name a scene file, which has to hold it
		path = join(filepath.Dir(path), named.Scene.Value)
		if text, err = ReadFile(path, maxSceneFile); err != nil {
			return nil, "", err
		}
	}
	var file struct {
		Scene *Spec `yaml:"scene"`
		// What else a test file has.
		Config  yaml.Node `yaml:"config"`
		Configs yaml.Node `yaml:"configs"`
		Cases   yaml.Node `yaml:"cases"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	if file.Scene == nil {
		return nil, "", fmt.Errorf("%s: no scene in it: a scene file has the key `scene`", path)
	}
	return file.Scene, path, nil
}
