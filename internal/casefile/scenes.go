// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"cmp"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
)

// sceneSpec reads what stands under `scene`: a scene, or the path of a file with one. Its paths are made independent of where it stands.
func (p *parsing) sceneSpec(n *yaml.Node) (*scene.Spec, error) {
	if n.Kind == yaml.MappingNode {
		return p.decodeScene(n, p.dir)
	}
	name, err := p.text(n, "scene")
	if err != nil {
		return nil, err
	}
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.dir, path)
	}
	text, err := scene.ReadFile(path, maxFile)
	if err != nil {
		return nil, p.errorAt(n, "scene: %v", err)
	}
	p.paths = append(p.paths, path)
	parsed, err := configfile.ParseYAML(path, text)
	if err != nil {
		return nil, err
	}
	// The keys of that file have their places there.
	other := parsing{File: &File{Name: path, yaml: parsed}}
	root := configfile.Resolve(parsed.Root)
	var spec *scene.Spec
	if err := other.fields(root, "a scene file", map[string]reader{"scene": func(_, value *yaml.Node) (err error) {
		spec, err = other.decodeScene(value, filepath.Dir(path))
		return err
	}}); err != nil {
		return nil, err
	}
	if spec == nil {
		return nil, other.errorAt(root, "no scene in it: a scene file has the key `scene`")
	}
	return spec, nil
}

func (p *parsing) decodeScene(n *yaml.Node, dir string) (*scene.Spec, error) {
	spec := &scene.Spec{}
	if err := p.checkKeys(n, reflect.TypeFor[scene.Spec](), "a scene"); err != nil {
		return nil, err
	}
	if err := n.Decode(spec); err != nil {
		return nil, p.decodeError(n, err)
	}
	moved(spec, dir)
	return spec, nil
}

var lineInMessage = regexp.MustCompile(`line (\d+): `)

// decodeError gives an error of the YAML library its place.
func (p *parsing) decodeError(n *yaml.Node, err error) error {
	message := err.Error()
	at := p.yaml.Pos(n)
	if m := lineInMessage.FindStringSubmatchIndex(message); m != nil {
		if line, err := strconv.Atoi(message[m[2]:m[3]]); err == nil {
			at = configfile.Position{Line: line, Column: 1}
		}
		message = message[m[1]:]
	}
	return p.yaml.ErrorAt(at, "scene: %s", message)
}

// moved makes the paths of a scene relative to the working directory instead of dir.
func moved(s *scene.Spec, dir string) {
	move := func(path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	}
	pages := func(all map[string]scene.PageSpec) {
		for key, page := range all {
			page.File = move(page.File)
			all[key] = page
		}
	}
	paths := func(all []string) {
		for i := range all {
			all[i] = move(all[i])
		}
	}
	paths(s.Manifests)
	pages(s.Pages)
	for i := range s.Steps {
		paths(s.Steps[i].Manifests)
		pages(s.Steps[i].Pages)
	}
}

// laidOver is a scene with another one on top: what both have is the upper one's. Manifests come after those below, and of two steps at
// the same time there is one.
func laidOver(below, above *scene.Spec) *scene.Spec {
	s := *below
	s.Namespace = cmp.Or(above.Namespace, s.Namespace)
	s.ServiceAccount = cmp.Or(above.ServiceAccount, s.ServiceAccount)
	if !above.Start.IsZero() {
		s.Start = above.Start
	}
	s.Env = union(s.Env, above.Env)
	s.Manifests = slices.Concat(s.Manifests, above.Manifests)
	s.Pages = union(s.Pages, above.Pages)
	s.Targets = union(s.Targets, above.Targets)
	s.Steps = slices.Clone(s.Steps)
	for i := range above.Steps {
		step := above.Steps[i]
		k := slices.IndexFunc(s.Steps, func(other scene.StepSpec) bool { return other.At == step.At })
		if k < 0 {
			s.Steps = append(s.Steps, step)
			continue
		}
		same := s.Steps[k]
		s.Steps[k] = scene.StepSpec{
			At: step.At, Pages: union(same.Pages, step.Pages), Targets: union(same.Targets, step.Targets),
			Delete: slices.Concat(same.Delete, step.Delete), Manifests: slices.Concat(same.Manifests, step.Manifests),
		}
	}
	slices.SortStableFunc(s.Steps, func(a, b scene.StepSpec) int { return cmp.Compare(a.At, b.At) })
	return &s
}

func union[V any](below, above map[string]V) map[string]V {
	if len(below)+len(above) == 0 {
		return nil
	}
	all := maps.Clone(below)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, above)
	return all
}

// loadScene gives a case its scene, which it shares with the cases that have the same.
func (p *parsing) loadScene(c *Case, spec *scene.Spec) error {
	text, err := yaml.Marshal(spec)
	if err != nil {
		return p.errorAt(c.node, "scene: %v", err)
	}
	c.key = string(text)
	if loaded, ok := p.loaded[c.key]; ok {
		c.scene = loaded // or nil, which was reported for an earlier case
		return nil
	}
	at := configfile.Get(c.node, "scene")
	if at == nil {
		at = configfile.Get(p.yaml.Root, "scene")
	}
	if at == nil {
		at = c.node
	}
	if p.loaded == nil {
		p.loaded = map[string]*scene.Scene{}
	}
	c.scene, err = spec.Load("")
	p.loaded[c.key] = c.scene
	if err != nil {
		return p.errorAt(at, "%v", err)
	}
	p.paths = append(p.paths, filesOf(spec)...)
	return nil
}

// filesOf are the paths and patterns that a scene reads.
func filesOf(s *scene.Spec) []string {
	all := slices.Clone(s.Manifests)
	pages := func(some map[string]scene.PageSpec) {
		for _, page := range some {
			if page.File != "" {
				all = append(all, page.File)
			}
		}
	}
	pages(s.Pages)
	for i := range s.Steps {
		all = append(all, s.Steps[i].Manifests...)
		pages(s.Steps[i].Pages)
	}
	return all
}
