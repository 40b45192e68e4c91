// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/legacyvalues"
)

// Values is what became of the values of the previous chart.
type Values struct {
	// Text is the values file of the chart runner.
	Text []byte
	// Items are in the order of the old file.
	Items []Item
	// Missing are keys that the chart needs and that the old values do not say.
	Missing []string
	// Variables are what the values set of the environment that the previous connector had: AZURE_REMOTE_WRITE_URL and so on. Not the secret.
	Variables map[string]string
}

// MigrateValues makes values for the chart of values of the previous one. Comments go with their keys. The values that it makes are what
// it makes of them again.
func MigrateValues(f *configfile.File) (*Values, error) {
	table, err := legacyvalues.Table()
	if err != nil {
		return nil, err
	}
	known, err := loadChartValues()
	if err != nil {
		return nil, err
	}
	if configfile.Resolve(f.Root).Kind != yaml.MappingNode {
		return nil, f.ErrorAt(f.Pos(f.Root), "is no mapping: the values of a Helm chart were expected")
	}
	m := &valuesMigration{collect: collect{file: f}, known: known, out: &yaml.Node{Kind: yaml.MappingNode}, variables: map[string]string{}, from: map[string]string{}, sections: map[string]*yaml.Node{}}
	m.entries = map[string]legacyvalues.Entry{}
	for _, e := range table {
		m.entries[e.Old] = e
	}
	m.visit(nil, f.Root, nil)
	text, err := m.text()
	if err != nil {
		return nil, err
	}
	sortItems(m.items)
	return &Values{Text: text, Items: m.items, Missing: m.missing(), Variables: m.variables}, nil
}

// valuesMigration is a MigrateValues that is under way.
type valuesMigration struct {
	collect
	known     *chartValues
	entries   map[string]legacyvalues.Entry
	out       *yaml.Node
	variables map[string]string
	from      map[string]string     // the old key by the new one
	sections  map[string]*yaml.Node // the keys of the old file, whose comments go with sections
}

// visit goes through a mapping. inherited is the entry of a key above.
func (m *valuesMigration) visit(path []string, mapping *yaml.Node, inherited *legacyvalues.Entry) {
	for key, value := range configfile.Pairs(mapping) {
		below := append(slices.Clone(path), key.Value)
		entry := inherited
		if e, ok := m.entries[strings.Join(below, ".")]; ok {
			entry = &e
		}
		value = configfile.Resolve(value)
		m.sections[strings.Join(below, ".")] = key
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 && m.descends(below, entry) {
			m.visit(below, value, entry)
			continue
		}
		m.leaf(below, key, value, entry)
	}
}

// descends says whether what is below a key is decided about key by key.
func (m *valuesMigration) descends(path []string, entry *legacyvalues.Entry) bool {
	prefix := strings.Join(path, ".") + "."
	for old := range m.entries {
		if strings.HasPrefix(old, prefix) {
			return true
		}
	}
	switch {
	case entry == nil:
		return m.known.section(path)
	case entry.Action == legacyvalues.Keep || entry.Action == legacyvalues.Rename:
		to := destination(path, entry)
		return m.known.section(to) && to[len(to)-1] != "image"
	}
	return false
}

// destination is the new key of an old one.
func destination(path []string, entry *legacyvalues.Entry) []string {
	if entry == nil {
		return path
	}
	rest := path[strings.Count(entry.Old, ".")+1:]
	return append(strings.Split(entry.New, "."), rest...)
}

// leaf decides about one key.
func (m *valuesMigration) leaf(path []string, key, value *yaml.Node, entry *legacyvalues.Entry) {
	name := strings.Join(path, ".")
	switch {
	case entry == nil && !m.known.knows(path):
		m.add(key.Line, name, Refused, "", "The chart has no such key, and no previous chart had: it is left out. `helm show values charts/runner` lists the keys.")
	case entry == nil:
		m.set(path, path, key, value, "The same key.")
	case entry.Action != legacyvalues.Keep && value.Kind == yaml.ScalarNode && value.Value == "":
		m.add(key.Line, name, Dropped, entry.New, "It is empty.")
	case m.azure(name, key, value, entry):
	case entry.Action == legacyvalues.Drop:
		m.add(key.Line, name, Dropped, entry.New, entry.Reason)
	case entry.Action == legacyvalues.Refuse:
		m.add(key.Line, name, Refused, entry.New, entry.Reason)
	default:
		to := destination(path, entry)
		if !m.known.knows(to) {
			m.add(key.Line, name, Refused, "", "The chart has no key "+strings.Join(to, ".")+": it is left out.")
			return
		}
		m.set(path, to, key, value, entry.Reason)
	}
}

// set writes a key of the new values.
func (m *valuesMigration) set(path, to []string, key, value *yaml.Node, reason string) {
	old, name := strings.Join(path, "."), strings.Join(to, ".")
	if isNull(value) && m.known.at(to) != nil && m.known.at(to).Kind != yaml.MappingNode && !slices.Contains(to, "resources") {
		m.add(key.Line, old, Dropped, "", "It has no value: the chart's default is taken.")
		return
	}
	if first, ok := m.from[name]; ok {
		m.add(key.Line, old, Dropped, name, "The key "+first+" says it already.")
		return
	}
	c := conversion{migration: m, path: old, to: to, line: key.Line}
	made, note := c.value(value)
	if made == nil {
		if note == "" {
			return // it is said
		}
		m.add(key.Line, old, Refused, name, note)
		return
	}
	m.from[name] = old
	m.put(to, m.commented(key, old), made)
	action := Changed
	if old == name && note == "" {
		action = Kept
	}
	if note != "" && to[len(to)-1] == "image" {
		reason = note
	} else if note != "" {
		reason = strings.TrimSpace(note + " " + reason)
	}
	m.add(key.Line, old, action, name, reason)
}

// commented is a key with its comments, unless one looks like a secret.
func (m *valuesMigration) commented(key *yaml.Node, path string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: key.Value, HeadComment: key.HeadComment, LineComment: key.LineComment, FootComment: key.FootComment}
	for _, comment := range []*string{&n.HeadComment, &n.LineComment, &n.FootComment} {
		if kind := secretIn(*comment); kind != "" {
			m.add(key.Line, path, Dropped, "", "A comment looks like a secret ("+kind+"), and is not copied.")
			*comment = ""
		}
		*comment = strings.TrimSpace(madeFrom.ReplaceAllString(*comment, ""))
	}
	return n
}

// madeFrom is the line at the top of what is written.
var madeFrom = regexp.MustCompile(`(?m)^# Values of the chart runner, made from .*$`)

// put writes a value at a path, with the sections above it. Comments are those of the key.
func (m *valuesMigration) put(path []string, key, value *yaml.Node) {
	at := m.out
	for i, name := range path[:len(path)-1] {
		next := pairOf(at, name)
		if next == nil {
			next = &yaml.Node{Kind: yaml.MappingNode}
			section := &yaml.Node{Kind: yaml.ScalarNode, Value: name}
			above := strings.Join(path[:i+1], ".")
			if old := m.sections[above]; old != nil {
				section = m.commented(old, above)
			}
			at.Content = append(at.Content, section, next)
		}
		at = next
	}
	key.Value = path[len(path)-1]
	at.Content = append(at.Content, key, value)
}

// putText writes a text at a path that has none yet.
func (m *valuesMigration) putText(path, value, from string) {
	if m.from[path] != "" {
		return
	}
	m.from[path] = from
	m.put(strings.Split(path, "."), &yaml.Node{Kind: yaml.ScalarNode}, textNode(value))
}

func pairOf(mapping *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// required are keys of the chart without which it is refused.
var required = []string{"global.organization", "otel.backend.preset", "otel.backend.endpoint"}

func (m *valuesMigration) missing() []string {
	var missing []string
	for _, path := range required {
		n := configfile.Get(m.out, strings.Split(path, ".")...)
		if n == nil || n.Value == "" {
			missing = append(missing, path)
		}
	}
	return missing
}

// text writes the new values, with the comment at the top of the old ones.
func (m *valuesMigration) text() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Values of the chart runner, made from %s by `runnerctl migrate`.\n", m.file.Name)
	if len(m.out.Content) == 0 {
		b.WriteString("{}\n")
		return b.Bytes(), nil
	}
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(m.out); err != nil {
		return nil, err
	}
	return b.Bytes(), encoder.Close()
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func textNode(value string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(value)
	return n
}
