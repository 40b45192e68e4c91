// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/lint"
	"github.com/kubiyabot/otelcol-runner/internal/natscompat"
)

// Config is what became of a configuration of the collector.
type Config struct {
	// File is the new configuration.
	File *configfile.File
	// Items are in the order of the old file.
	Items []Item
	// Variables are the environment variables that the new configuration reads and that have no default.
	Variables []string
}

// MigrateConfig makes of a configuration that delivered over NATS one that delivers by remote write. Comments stay. env is what is known of the
// environment: where metrics go, and how the collector authenticates there; its values do not get into the configuration.
func MigrateConfig(f *configfile.File, env map[string]string) (*Config, error) {
	if f.Kind != configfile.Collector {
		return nil, f.ErrorAt(configfile.Position{}, "is a configuration of Prometheus: one of the collector, or of Alloy (*.alloy, *.river), was expected")
	}
	m := &collect{file: f}
	out, err := m.withoutSecrets(f)
	if err != nil {
		return nil, err
	}
	if out, err = m.translate(out, env); err != nil {
		return nil, err
	}
	if out, err = m.clean(out); err != nil {
		return nil, err
	}
	sortItems(m.items)
	return &Config{File: out, Items: m.items, Variables: variables(out.Text)}, nil
}

// secretRule is the rule of lint that finds secrets.
const secretRule = "secret"

// withoutSecrets puts references in the place of what looks like a secret, and cuts comments that have one.
func (c *collect) withoutSecrets(f *configfile.File) (*configfile.File, error) {
	places := map[configfile.Position]bool{}
	for _, finding := range lint.Check(f) {
		if finding.Rule == secretRule {
			places[configfile.Position{Line: finding.Line, Column: finding.Column}] = true
		}
	}
	var edits []configfile.Edit
	var broken error
	f.Walk(func(path string, key, value *yaml.Node) bool {
		found := places[f.Pos(value)] || key != nil && places[f.Pos(key)]
		if value.Kind != yaml.ScalarNode || !found && secretIn(value.Value) == "" {
			return true
		}
		delete(places, f.Pos(value))
		delete(places, f.Pos(key))
		name := variableFor(path)
		edit, err := f.ReplaceScalar(value, "${env:"+name+"}")
		if err != nil {
			broken = err
			return false
		}
		edits = append(edits, edit)
		c.add(value.Line, path, Refused, "${env:"+name+"}", "It looks like a secret, and is not copied: set the variable "+name+" from a Secret, and make a new secret, since this one has been in a file.")
		return true
	})
	if broken != nil {
		return nil, broken
	}
	for place := range places {
		start, ok := f.Offset(place)
		if !ok {
			continue
		}
		rest := string([]rune(f.Line(place.Line))[place.Column-1:])
		if !strings.HasPrefix(strings.TrimSpace(rest), "#") {
			return nil, f.ErrorAt(place, "here is a secret that cannot be taken out: put a reference such as ${env:SECRET} in its place")
		}
		end := start + len(rest)
		edits = append(edits, configfile.Edit{Start: start, End: end, New: "# (a secret was here)"})
		c.add(place.Line, "comment", Refused, "", "It looks like a secret, and is not copied.")
	}
	return f.Apply(edits...)
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9]+`)

// variableFor names the variable for the value at a path: of exporters::otlp::headers::authorization it is OTLP_HEADERS_AUTHORIZATION.
func variableFor(path string) string {
	parts := strings.Split(path, delimiter)
	parts = parts[max(0, len(parts)-3):]
	name := strings.ToUpper(strings.Trim(notInName.ReplaceAllString(strings.Join(parts, "_"), "_"), "_"))
	return "SECRET_" + name
}

// references are those of a configuration that are taken out of its values while it is translated: a value with one is no host and port.
type references struct{ texts []string }

var referenceText = regexp.MustCompile(`\$\{[^{}]*\}`)

func (r *references) hide(v any) any {
	switch v := v.(type) {
	case string:
		return referenceText.ReplaceAllStringFunc(v, func(text string) string {
			r.texts = append(r.texts, text)
			return "reference-" + strconv.Itoa(len(r.texts)-1) + "-"
		})
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, item := range v {
			out[name] = r.hide(item)
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			out = append(out, r.hide(item))
		}
		return out
	}
	return v
}

var hidden = regexp.MustCompile(`reference-(\d+)-`)

func (r *references) showText(text string) string {
	return hidden.ReplaceAllStringFunc(text, func(name string) string {
		i, err := strconv.Atoi(hidden.FindStringSubmatch(name)[1])
		if err != nil || i >= len(r.texts) {
			return name
		}
		return r.texts[i]
	})
}

func (r *references) show(v any) any {
	switch v := plain(v).(type) {
	case string:
		return r.showText(v)
	case map[string]any:
		for name, item := range v {
			v[name] = r.show(item)
		}
		return v
	case []any:
		for i, item := range v {
			v[i] = r.show(item)
		}
		return v
	default:
		return v
	}
}

// known is the environment as the translation asks for it: with an address, and with secrets in files.
func knownEnvironment(env map[string]string) func(string) string {
	all := maps.Clone(env)
	if all == nil {
		all = map[string]string{}
	}
	if all["REMOTE_WRITE_URL"] == "" && all["AZURE_REMOTE_WRITE_URL"] == "" {
		all["REMOTE_WRITE_URL"] = "https://prometheus.example.com/api/v1/write"
	}
	for _, name := range []string{"AZURE_CLIENT_SECRET", "BASIC_AUTH_PASSWORD"} {
		if all[name] != "" {
			all[name+"_FILE"] = "/etc/remote-write/" + strings.ToLower(name)
			delete(all, name)
		}
	}
	return func(name string) string { return all[name] }
}

// translate makes the changes of natscompat in the text.
func (c *collect) translate(f *configfile.File, env map[string]string) (*configfile.File, error) {
	tree := map[string]any{}
	if err := f.Root.Decode(&tree); err != nil {
		return nil, f.ErrorAt(configfile.Position{}, "cannot be read as a configuration: %v", err)
	}
	refs := &references{}
	hiddenTree, _ := refs.hide(tree).(map[string]any)
	changes, err := natscompat.Translate(hiddenTree, knownEnvironment(env))
	if err != nil {
		message := refs.showText(err.Error())
		path, _, _ := strings.Cut(message, ": ")
		path, _, _ = strings.Cut(path, " ")
		return nil, f.ErrorAt(f.PathPos(path), "%s", message)
	}
	if len(changes) == 0 {
		return nil, f.ErrorAt(f.PathPos("exporters"), "there is no natsexporter under exporters: nothing has to be migrated")
	}
	old, touched := f, map[string]bool{}
	for _, change := range changes {
		for i := range change.Edits {
			change.Edits[i].Path = refs.showText(change.Edits[i].Path)
			change.Edits[i].Value = refs.show(change.Edits[i].Value)
		}
		path := refs.showText(change.Path)
		touched[path] = true
		if f, err = apply(f, change.Edits); err != nil {
			return nil, err
		}
		action := Changed
		switch {
		case change.To == "taken out" || change.To == "not used" || change.To == "not read":
			action = Dropped
		case len(change.Edits) == 0:
			action = Kept
		}
		key := refs.showText(change.From)
		c.add(old.PathPos(path).Line, key, action, refs.showText(change.To), sentence(refs.showText(change.Why)))
		c.items[len(c.items)-1].Look = change.Warn
	}
	c.kept(old, f, touched)
	return f, nil
}

// kept names what is taken over as it is: components, jobs, pipelines, and what else there is in service.
func (c *collect) kept(old, f *configfile.File, touched map[string]bool) {
	add := func(path, name string) {
		if !touched[path] && f.Lookup(path) != nil {
			c.add(old.PathPos(path).Line, name, Kept, "", "As it was.")
		}
	}
	jobs := map[string]bool{}
	for _, j := range old.Jobs() {
		add(j.Path, "receivers::"+j.Receiver+": job "+strconv.Quote(j.Name))
		jobs["receivers::"+j.Receiver] = true
	}
	for section, content := range configfile.Pairs(old.Root) {
		for id := range configfile.Pairs(content) {
			path := section.Value + delimiter + id.Value
			switch {
			case jobs[path]:
			case section.Value == "service" && (id.Value == "pipelines" || id.Value == "telemetry"):
				for below := range configfile.Pairs(configfile.Get(content, id.Value)) {
					add(path+delimiter+below.Value, path+delimiter+below.Value)
				}
			default:
				add(path, path)
			}
		}
	}
}

// sentence makes one of what a line of the log says in brackets.
func sentence(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
}

// silenced is the reason of a comment that silences a rule. The same is in the report.
const silenced = "as it was before the migration"

// clean mends what can be mended safely, and says of the rest in a comment that it is known.
func (c *collect) clean(f *configfile.File) (*configfile.File, error) {
	f, mended := lint.Fix(f)
	for _, finding := range mended {
		c.add(0, "line "+strconv.Itoa(finding.Line)+" of the new file", Changed, finding.Fix, sentence(finding.Message)+" (lint: "+finding.Rule+")")
	}
	rules := map[int][]string{}
	for _, finding := range lint.Check(f) {
		if !slices.Contains(rules[finding.Line], finding.Rule) {
			rules[finding.Line] = append(rules[finding.Line], finding.Rule)
		}
		c.add(0, "line "+strconv.Itoa(finding.Line)+" of the new file", Kept, "as it was", sentence(finding.Message)+" (lint: "+finding.Rule+", silenced there)")
		c.items[len(c.items)-1].Look = true
	}
	var edits []configfile.Edit
	for line, ids := range rules {
		at, ok := f.Offset(configfile.Position{Line: line, Column: 1})
		if !ok {
			continue
		}
		text := f.Line(line)
		indent := text[:len(text)-len(strings.TrimLeft(text, " "))]
		edits = append(edits, configfile.Edit{Start: at, End: at, New: fmt.Sprintf("%s# runnerctl-lint: disable=%s %s\n", indent, strings.Join(ids, ","), silenced)})
	}
	return f.Apply(edits...)
}

var variable = regexp.MustCompile(`\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}`)

// variables are those that a configuration reads and that have no default.
func variables(text []byte) []string {
	var names []string
	for _, m := range variable.FindAllSubmatch(text, -1) {
		if name := string(m[1]); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
