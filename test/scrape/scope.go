// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
)

const processor = "processors::runner::"

// mutateScope returns the mutants of the runner processor's scope and identity. Limits are left out: how much is enough is not for a case
// to say.
func mutateScope(f *configfile.File) ([]*mutant, error) {
	s := scopeMutants{file: f}
	for _, key := range []string{"namespaces", "components", "labels::drop"} {
		s.entries(processor + "scope::" + key)
	}
	s.replace(processor+"scope::metrics::profile", "none")
	s.rewrite(processor+"scope::metrics::include", `[".*"]`)
	s.rewrite(processor+"scope::metrics::exclude", `[".*"]`)
	s.rewrite(processor+"scope::labels::keep", "[app]")
	s.replace(processor+"scope::secrets", "off", "drop", "redact")
	s.replace(processor+"instance", "organization", "target")
	for key, value := range configfile.Pairs(f.Lookup(processor + "metadata")) {
		s.metadata(key, configfile.Resolve(value))
	}
	return s.all, s.err
}

// scopeMutants gathers mutants of one file, and the first error.
type scopeMutants struct {
	file *configfile.File
	all  []*mutant
	err  error
}

func (s *scopeMutants) add(path string, at *yaml.Node, change string, edit configfile.Edit, err error) {
	if err != nil {
		if s.err == nil {
			s.err = fmt.Errorf("%s: %w", path, err)
		}
		return
	}
	name := strings.TrimPrefix(path, processor)
	s.all = append(s.all, &mutant{file: s.file, pos: s.file.Pos(at), path: path, change: "runner, " + name + ": " + change, edits: []configfile.Edit{edit}})
}

// node is the value at a path, which has to be there.
func (s *scopeMutants) node(path string) *yaml.Node {
	n := s.file.Lookup(path)
	if n == nil && s.err == nil {
		s.err = fmt.Errorf("%s: nothing is at %s, which is to be changed", s.file.Name, path)
	}
	return n
}

// entries changes each entry of a list, takes each out, and makes it one that everything matches.
func (s *scopeMutants) entries(path string) {
	n := s.node(path)
	if n == nil {
		return
	}
	for i, item := range n.Content {
		edit, err := s.file.ReplaceScalar(item, item.Value+"x")
		s.add(path, item, fmt.Sprintf("%s becomes %sx", item.Value, item.Value), edit, err)
		edit, err = s.file.ReplaceScalar(item, ".*")
		s.add(path, item, item.Value+" becomes .*", edit, err)
		if len(n.Content) > 1 {
			edit, err = s.file.DeleteItem(n, i)
			s.add(path, item, "without "+item.Value, edit, err)
		}
	}
}

// replace changes a scalar to each of the values that it has not. A variable stays what it is, with another default.
func (s *scopeMutants) replace(path string, values ...string) {
	n := s.node(path)
	if n == nil {
		return
	}
	old, isVariable := strings.CutSuffix(n.Value, "}")
	name, old, hasDefault := strings.Cut(old, ":-")
	if !isVariable || !hasDefault {
		name, old = "", n.Value
	}
	for _, value := range values {
		if value == old {
			continue
		}
		text := value
		if name != "" {
			text = name + ":-" + value + "}"
		}
		edit, err := s.file.ReplaceScalar(n, text)
		s.add(path, n, old+" becomes "+value, edit, err)
	}
}

// rewrite puts a list in the place of one that is empty.
func (s *scopeMutants) rewrite(path, value string) {
	n := s.node(path)
	if n == nil || len(n.Content) > 0 {
		return
	}
	parent, key := path[:strings.LastIndex(path, "::")], path[strings.LastIndex(path, "::")+2:]
	edit, err := s.file.DeleteKey(s.file.Lookup(parent), key)
	if err == nil {
		line := string(s.file.Text[edit.Start:edit.End])
		edit.New = line[:len(line)-len(strings.TrimLeft(line, " "))] + key + ": " + value + "\n"
	}
	s.add(path, n, "becomes "+value, edit, err)
}

// metadata changes a label of the identity: its value, its name, whether it is there.
func (s *scopeMutants) metadata(key, value *yaml.Node) {
	path := processor + "metadata"
	edit, err := s.file.ReplaceScalar(value, value.Value+"x")
	s.add(path, key, key.Value+" has another value", edit, err)
	edit, err = s.file.ReplaceScalar(key, key.Value+"_x")
	s.add(path, key, key.Value+" becomes "+key.Value+"_x", edit, err)
	edit, err = s.file.DeleteKey(s.file.Lookup(path), key.Value)
	s.add(path, key, "without "+key.Value, edit, err)
}

// fingerprint is what of a configuration a mutant's fate depends on: what is scraped, and how it is processed. required_env is left out,
// which is about the start.
func fingerprint(f *configfile.File) string {
	var text strings.Builder
	for _, section := range []string{"receivers", "processors"} {
		n := inFlow(f.Lookup(section))
		forgetRequired(n)
		text.WriteString(flow(n))
	}
	for _, list := range []string{"receivers", "processors"} {
		text.WriteString(flow(f.Lookup("service::pipelines::metrics::" + list)))
	}
	return text.String()
}

func forgetRequired(n *yaml.Node) {
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		if n.Content[i].Value == "required_env" {
			n.Content = slices.Delete(n.Content, i, i+2)
			return
		}
	}
	for _, child := range n.Content {
		forgetRequired(child)
	}
}
