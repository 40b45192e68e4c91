// SPDX-License-Identifier: Apache-2.0

package configfile

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Kind is what a file configures.
type Kind int

// The kinds of files.
const (
	// Collector is a configuration of the OpenTelemetry Collector, or a part of one. `$$` in it is `$`, and `${env:NAME}` is
	// replaced when the collector starts. Only the jobs of receivers of the type prometheus are jobs.
	Collector Kind = iota + 1
	// Prometheus is a prometheus.yml.
	Prometheus
	// ScrapeConfigs is a list of scrape configurations, or a file with no other key than scrape_configs.
	ScrapeConfigs
)

// String returns the kind as it is called in messages.
func (k Kind) String() string {
	switch k {
	case Collector:
		return "collector"
	case Prometheus:
		return "prometheus"
	case ScrapeConfigs:
		return "scrape_configs"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Position is a place in a file. Lines and columns count from 1; a column is a character, not a byte. The zero Position is
// nowhere.
type Position struct {
	Line, Column int
}

// Error is a file that cannot be read as a configuration. Its text is file:line:column: what is wrong: what to do.
type Error struct {
	File string
	Position
	Message string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// File is a configuration with positions. It is immutable and safe for concurrent use.
type File struct {
	// Name is what the file is called in messages: its path, or <stdin>.
	Name string
	Kind Kind
	// Text is the whole file as it was read.
	Text []byte
	// Root is the content: a mapping, or a sequence in a bare list of scrape configurations. Aliases and merge keys (<<) are
	// not replaced: see Resolve. There are no cycles in it, and no key is twice in a mapping.
	Root *yaml.Node

	lines    []int // where each line begins in Text
	expanded bool  // references are replaced and $$ is $
}

// Load reads and parses the file at path. The error is that of opening or reading it, or an *Error.
func Load(path string) (*File, error) {
	f, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	return Read(path, f)
}

// Read reads a file from r to its end, or to the size that is too much, and parses it. Name is what it is called in messages.
func Read(name string, r io.Reader) (*File, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err != nil {
		return nil, err
	}
	return Parse(name, text)
}

// Parse parses a file. Name is what it is called in messages. The error is an *Error.
func Parse(name string, text []byte) (*File, error) {
	f := &File{Name: name, Text: text}
	if err := f.checkText(); err != nil {
		return nil, err
	}
	f.lines = lineStarts(text)
	if err := f.decode(); err != nil {
		return nil, err
	}
	if err := f.checkNodes(); err != nil {
		return nil, err
	}
	kind, err := f.detect()
	if err != nil {
		return nil, err
	}
	f.Kind = kind
	return f, nil
}

// decode makes nodes of the text. It wants exactly one document.
func (f *File) decode() (err error) {
	defer func() {
		// The parser of the library panics on what it takes for its own bugs.
		if r := recover(); r != nil {
			err = f.errorAt(Position{1, 1}, "cannot be read as YAML (%v): simplify it", r)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(f.Text, bom)))
	var document, next yaml.Node
	switch err := d.Decode(&document); {
	case err == io.EOF: //nolint:errorlint // the decoder returns it as it is
		return f.errorAt(Position{}, "the file is empty: give a collector configuration, a prometheus.yml, or a list of scrape configurations")
	case err != nil:
		return f.syntaxError(err)
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 || isNull(document.Content[0]) {
		return f.errorAt(Position{}, "the file has no content: give a collector configuration, a prometheus.yml, or a list of scrape configurations")
	}
	f.Root = document.Content[0]
	switch err := d.Decode(&next); {
	case err == io.EOF: //nolint:errorlint // the decoder returns it as it is
		return nil
	case err != nil:
		return f.syntaxError(err)
	case len(next.Content) == 1 && isNull(next.Content[0]):
		return nil
	}
	return f.errorAt(Position{next.Line, next.Column}, "a second document begins here: a configuration is one document, split the file at ---")
}

// collectorKeys are what a configuration of the collector has at the top.
var collectorKeys = []string{"receivers", "processors", "exporters", "connectors", "extensions", "service"}

// prometheusKeys are what a prometheus.yml has at the top, next to scrape_configs.
var prometheusKeys = []string{
	"global", "scrape_config_files", "rule_files", "alerting", "remote_write", "remote_read", "storage", "tracing", "otlp", "runtime",
}

// detect tells the kinds apart by the keys at the top.
func (f *File) detect() (Kind, error) {
	root := Resolve(f.Root)
	pos := f.Pos(root)
	switch root.Kind {
	case yaml.SequenceNode:
		for _, item := range root.Content {
			if Get(item, "job_name") != nil {
				return ScrapeConfigs, nil
			}
		}
		return 0, f.errorAt(pos, "is a list, but no item has a job_name: a list of scrape configurations was expected")
	case yaml.MappingNode:
	default:
		return 0, f.errorAt(pos, "is a single value: a collector configuration, a prometheus.yml, or a list of scrape configurations was expected")
	}
	has := func(keys ...string) bool {
		for _, key := range keys {
			if Get(root, key) != nil {
				return true
			}
		}
		return false
	}
	switch {
	case has("apiVersion") && has("kind"):
		kind := Get(root, "kind")
		return 0, f.errorAt(f.Pos(kind), "is a Kubernetes object of the kind %q: give the configuration that is in it, as a file of its own", short(kind.Value))
	case has("replicaCount", "image", "images", "fullnameOverride", "nameOverride"):
		return 0, f.errorAt(pos, "looks like the values of a Helm chart: render the chart (helm template) and give the configuration that is in its ConfigMap")
	case f.hasMapping(collectorKeys...):
		return Collector, nil
	case has(prometheusKeys...):
		return Prometheus, nil
	case has("scrape_configs"):
		return ScrapeConfigs, nil
	case has("job_name"):
		return 0, f.errorAt(pos, "is one scrape configuration: make it an item of a list (- job_name: …)")
	case has("groups"):
		return 0, f.errorAt(pos, "looks like recording or alerting rules: a configuration that scrapes was expected")
	}
	return 0, f.errorAt(pos, "has none of receivers, service, global, scrape_configs: a collector configuration, a prometheus.yml, or a list of scrape configurations was expected")
}

// hasMapping says whether one of the keys holds a mapping or nothing. Alertmanager's receivers are a list.
func (f *File) hasMapping(keys ...string) bool {
	for _, key := range keys {
		if n := Get(f.Root, key); n != nil && (n.Kind == yaml.MappingNode || isNull(n) || strings.HasPrefix(n.Value, "${")) {
			return true
		}
	}
	return false
}

func (f *File) errorAt(pos Position, format string, args ...any) error {
	return &Error{File: f.Name, Position: pos, Message: fmt.Sprintf(format, args...)}
}

// short keeps a value from outside from filling a message.
func short(value string) string {
	const limit = 60
	if r := []rune(value); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return value
}
