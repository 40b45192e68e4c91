// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/natscompat"
)

const delimiter = "::"

// apply makes edits in the text of a file. What they do not name stays as it is, comments included.
func apply(f *configfile.File, edits []natscompat.Edit) (*configfile.File, error) {
	for i := 0; i < len(edits); i++ {
		e := edits[i]
		var err error
		if i+1 < len(edits) && isRename(f, e, edits[i+1]) {
			parent, old := cutLast(e.Path)
			_, name := cutLast(edits[i+1].Path)
			f, err = replaceKey(f, parent, old, name, edits[i+1].Value)
			i++
		} else {
			f, err = set(f, strings.Split(e.Path, delimiter), plain(e.Value))
		}
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

// isRename says whether a key is deleted and another comes beside it, which can then stand in its place.
func isRename(f *configfile.File, gone, comes natscompat.Edit) bool {
	a, old := cutLast(gone.Path)
	b, _ := cutLast(comes.Path)
	parent := f.Lookup(a)
	return a == b && gone.Value == nil && comes.Value != nil && f.Lookup(comes.Path) == nil && parent != nil && configfile.Key(parent, old) != nil
}

func cutLast(path string) (parent, name string) {
	i := strings.LastIndex(path, delimiter)
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+len(delimiter):]
}

func replaceKey(f *configfile.File, parent, old, name string, value any) (*configfile.File, error) {
	mapping := f.Lookup(parent)
	if edit, err := f.DeleteKey(mapping, old); err == nil {
		edit.New = render(name, plain(value), configfile.Key(mapping, old).Column-1)
		return f.Apply(edit)
	}
	f, err := set(f, strings.Split(parent+delimiter+old, delimiter), nil)
	if err != nil {
		return nil, err
	}
	return set(f, strings.Split(parent+delimiter+name, delimiter), plain(value))
}

// set gives a key a value, with the sections above it; nil deletes it. Where the text has a form in which it cannot be done, a section
// above is written anew.
func set(f *configfile.File, path []string, value any) (*configfile.File, error) {
	mapping, depth := f.Root, 0
	for depth < len(path)-1 {
		next := pairOf(mapping, path[depth])
		if next == nil || next.Kind != yaml.MappingNode {
			break
		}
		mapping, depth = next, depth+1
	}
	name := path[depth]
	exists := configfile.Key(mapping, name) != nil
	if value == nil && (!exists || depth < len(path)-1 && pairOf(mapping, name) != nil && isNull(pairOf(mapping, name))) {
		return f, nil
	}
	below := value
	if depth < len(path)-1 {
		below = with(decoded(configfile.Get(mapping, name)), path[depth+1:], value)
	}
	if edit, ok := editOf(f, mapping, name, exists, below); ok {
		return f.Apply(edit)
	}
	if depth == 0 {
		return nil, f.ErrorAt(f.Pos(mapping), "%s cannot be set here: write the file in the block style of YAML, one key a line", strings.Join(path, delimiter))
	}
	whole := with(decoded(mapping), path[depth:], value)
	return set(f, path[:depth], whole)
}

// editOf sets or deletes a key of one mapping. It is false where the text has another form.
func editOf(f *configfile.File, mapping *yaml.Node, name string, exists bool, value any) (configfile.Edit, bool) {
	if mapping.Kind != yaml.MappingNode || len(mapping.Content) == 0 {
		return configfile.Edit{}, false
	}
	indent := mapping.Content[0].Column - 1
	if exists {
		edit, err := f.DeleteKey(mapping, name)
		if err != nil {
			return edit, false
		}
		if value != nil {
			edit.New = render(name, value, indent)
		}
		return edit, true
	}
	edit, err := f.DeleteKey(mapping, mapping.Content[len(mapping.Content)-2].Value)
	if err != nil {
		return edit, false
	}
	edit.Start, edit.New = edit.End, render(name, value, indent)
	if edit.End > 0 && f.Text[edit.End-1] != '\n' {
		edit.New = "\n" + edit.New
	}
	return edit, true
}

// render writes a key and its value, as a block.
func render(name string, value any, indent int) string {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(map[string]any{name: value}); err != nil {
		return fmt.Sprintf("%s: # %v\n", name, err) // of maps, lists and texts there is none
	}
	prefix := strings.Repeat(" ", indent)
	var out strings.Builder
	for line := range strings.Lines(b.String()) {
		out.WriteString(prefix + line)
	}
	return out.String()
}

func decoded(n *yaml.Node) map[string]any {
	out := map[string]any{}
	if n != nil && n.Kind == yaml.MappingNode {
		_ = n.Decode(&out) // it was parsed
	}
	return out
}

// with sets a key below a map; nil deletes it.
func with(m map[string]any, path []string, value any) map[string]any {
	switch {
	case len(path) > 1:
		below, _ := m[path[0]].(map[string]any)
		if below == nil {
			below = map[string]any{}
		}
		m[path[0]] = with(below, path[1:], value)
	case value == nil:
		delete(m, path[0])
	default:
		m[path[0]] = value
	}
	return m
}

// plain writes references as a file has them.
func plain(v any) any {
	switch v := v.(type) {
	case fmt.Stringer:
		return v.String()
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, item := range v {
			out[name] = plain(item)
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			out = append(out, plain(item))
		}
		return out
	}
	return v
}
