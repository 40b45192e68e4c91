// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
)

// maxFile bounds a test file and a scene file, in bytes.
const maxFile = 10 << 20

// File is a test file with its scenes. It does not change, and is safe for concurrent use.
type File struct {
	// Name is its path.
	Name string
	// ConfigPaths are the configurations that it names, globs replaced; none where it leaves them to the caller.
	ConfigPaths []string
	// Cases are in the order of the file.
	Cases []Case

	yaml    *configfile.File
	configs func() ([]*configfile.File, error) // reads ConfigPaths, once
	paths   []string                           // what was read
}

// Case is one test case.
type Case struct {
	// Name says what is promised.
	Name string
	// Pos is where the case begins.
	Pos configfile.Position

	at     time.Duration // negative: the longest scrape interval
	scene  *scene.Scene
	key    string // two cases of a file with the same key have the same scene
	err    *refusal
	expect []expectation
	node   *yaml.Node // the mapping of the case
}

// suffixes are what files in a folder end in that are test files.
var suffixes = []string{"_test.yaml", "_test.yml", ".test.yaml", ".test.yml"}

// maxFound bounds how many test files are taken.
const maxFound = 10_000

// Find returns the test files that arguments stand for: a path, a glob, or a folder, below which every file whose name ends in
// _test.yaml or .test.yaml is one. An argument that stands for none is an error.
func Find(arguments ...string) ([]string, error) {
	var found []string
	for _, argument := range arguments {
		some, err := find(argument)
		if err != nil {
			return nil, err
		}
		for _, path := range some {
			if !slices.Contains(found, path) {
				found = append(found, path)
			}
		}
		if len(found) > maxFound {
			return nil, fmt.Errorf("more than %d test files: name fewer", maxFound)
		}
	}
	return found, nil
}

func find(argument string) ([]string, error) {
	info, err := os.Stat(argument)
	switch {
	case err == nil && !info.IsDir():
		return []string{argument}, nil
	case err == nil:
		return below(argument)
	case !errors.Is(err, fs.ErrNotExist) || !strings.ContainsAny(argument, "*?["):
		return nil, fmt.Errorf("%w: name a test file, a folder with some, or a pattern", err)
	}
	matches, err := filepath.Glob(argument)
	if err != nil {
		return nil, fmt.Errorf("%q: %w: mend the pattern", argument, err)
	}
	if len(matches) == 0 {
		return nil, fmt.Errorf("%q matches no file: check the pattern", argument)
	}
	return matches, nil
}

// below are the test files in a folder and below it.
func below(dir string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() && slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(path, s) }) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no test file: their names end in _test.yaml or .test.yaml", dir)
	}
	return found, nil
}

// Load reads test files with their scenes, and with everything that those name. Arguments are those of Find. An error has the place of what
// is wrong: all of it, in a file.
func Load(arguments ...string) ([]*File, error) {
	paths, err := Find(arguments...)
	if err != nil {
		return nil, err
	}
	files := make([]*File, 0, len(paths))
	var errs []error
	for _, path := range paths {
		text, err := scene.ReadFile(path, maxFile)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f, err := Parse(path, text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		files = append(files, f)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return files, nil
}

// Parse reads the text of a test file, and everything that it names, from the folder of name. The error is as that of Load.
func Parse(name string, text []byte) (*File, error) {
	parsed, err := configfile.ParseYAML(name, text)
	if err != nil {
		return nil, err
	}
	f := &File{Name: name, yaml: parsed, paths: []string{name}}
	p := parsing{File: f, dir: filepath.Dir(name)}
	if err := p.file(configfile.Resolve(parsed.Root)); err != nil {
		return nil, err
	}
	f.configs = sync.OnceValues(f.readConfigs)
	return f, nil
}

func (f *File) readConfigs() ([]*configfile.File, error) {
	all := make([]*configfile.File, 0, len(f.ConfigPaths))
	for _, path := range f.ConfigPaths {
		c, err := configfile.Load(path)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// Paths are the files and patterns that a change of concerns the test file: itself, its configurations, the files of its scenes.
func (f *File) Paths() []string {
	return slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(f.paths), f.ConfigPaths...))))
}

// parsing is a file that is being read.
type parsing struct {
	*File
	dir    string
	base   *scene.Spec
	loaded map[string]*scene.Scene // by key
}

func (p *parsing) file(root *yaml.Node) error {
	if configfile.Get(root, "cases") == nil && p.isConfig() {
		return p.errorAt(root, "this is a configuration, and no test file: give it with --config, and the test file in its place")
	}
	var cases *yaml.Node
	err := p.fields(root, "a test file", map[string]reader{
		"config": func(_, value *yaml.Node) error { return p.config(value) },
		"configs": func(_, value *yaml.Node) error {
			if value.Kind != yaml.SequenceNode {
				return p.errorAt(value, "configs is a list: use config for one")
			}
			return p.each(value, p.config)
		},
		"scene": func(_, value *yaml.Node) (err error) {
			p.base, err = p.sceneSpec(value)
			return err
		},
		"cases": func(_, value *yaml.Node) error {
			cases = value
			return nil
		},
	})
	if err != nil {
		return err
	}
	if cases == nil || len(cases.Content) == 0 {
		return p.errorAt(root, "no cases: a test file has some under `cases`")
	}
	if cases.Kind != yaml.SequenceNode {
		return p.errorAt(cases, "cases is a list of mappings: begin each with a dash")
	}
	if p.base == nil {
		p.base = &scene.Spec{}
	}
	names := map[string]bool{}
	return p.each(cases, func(item *yaml.Node) error {
		c, err := p.testCase(item)
		if err != nil {
			return err
		}
		if names[c.Name] {
			return p.errorAt(item, "a case is called %q already: call this one what it is about", short(c.Name))
		}
		names[c.Name] = true
		p.Cases = append(p.Cases, *c)
		return nil
	})
}

// isConfig says whether the text is what is to be tested, and not a test.
func (p *parsing) isConfig() bool {
	_, err := configfile.Parse(p.Name, p.yaml.Text)
	return err == nil
}

// each reads the items of a list, all of them also when some are wrong.
func (p *parsing) each(sequence *yaml.Node, read func(*yaml.Node) error) error {
	var errs []error
	for _, item := range configfile.Items(sequence) {
		errs = append(errs, read(item))
	}
	return errors.Join(errs...)
}

func (p *parsing) config(n *yaml.Node) error {
	pattern, err := p.text(n, "a configuration")
	if err != nil {
		return err
	}
	path := pattern
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.dir, pattern)
	}
	if !strings.ContainsAny(pattern, "*?[") {
		p.ConfigPaths = append(p.ConfigPaths, path)
		return nil
	}
	matches, err := filepath.Glob(path)
	if err != nil {
		return p.errorAt(n, "%q: %v: mend the pattern", pattern, err)
	}
	if len(matches) == 0 {
		return p.errorAt(n, "%q matches no file: it is relative to this file", pattern)
	}
	p.ConfigPaths = append(p.ConfigPaths, matches...)
	return nil
}

func (p *parsing) testCase(n *yaml.Node) (*Case, error) {
	c := &Case{Pos: p.yaml.Pos(n), at: -1, node: n}
	spec := p.base
	err := p.fields(n, "a case", map[string]reader{
		"name": func(_, value *yaml.Node) (err error) {
			c.Name, err = p.text(value, "a name")
			return err
		},
		"at": func(_, value *yaml.Node) error {
			d, err := model.ParseDuration(value.Value)
			if err != nil || value.Kind != yaml.ScalarNode {
				return p.errorAt(value, "at is a time after the first scrape such as 30s, but this is %s", kindOf(value))
			}
			c.at = time.Duration(d)
			return nil
		},
		"scene": func(_, value *yaml.Node) error {
			over, err := p.sceneSpec(value)
			if err != nil {
				return err
			}
			spec = laidOver(p.base, over)
			return nil
		},
		"expect": func(_, value *yaml.Node) error { return p.expectations(c, value) },
	})
	if err != nil {
		return nil, err
	}
	if c.Name == "" {
		return nil, p.errorAt(n, "the case has no name: say in `name` what it promises")
	}
	if configfile.Get(n, "expect") == nil {
		return nil, p.errorAt(n, "the case expects nothing: say in `expect` what it does; `expect: {}` can be filled in by --update")
	}
	return c, p.loadScene(c, spec)
}
