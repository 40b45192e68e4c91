// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/casefile"
	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/lint"
)

// fate is what has become of a mutant.
type fate struct {
	by   string // what caught it: the name of a case, or a rule of lint; empty: nothing
	lint bool
}

// species are the mutants that have the same effect, of one configuration each.
type species struct {
	of   []*mutant
	fate fate
}

// mutants changes the configurations in turn, and looks what notices.
func (s *suite) mutants(ctx context.Context, sum *summary) error {
	all, total, err := s.breed()
	if err != nil {
		return err
	}
	sum.Mutants, sum.DistinctMutants = total, len(all)
	s.printf("mutants: %d, of which %d are different\n", total, len(all))
	if err := s.sound(ctx); err != nil {
		return err
	}
	if err := s.hunt(ctx, all); err != nil {
		return err
	}
	known, err := readEquivalents(s.path(equivalentsFile))
	if err != nil {
		return err
	}
	for _, one := range all {
		reason := known.reason(one.of[0].change)
		switch {
		case one.fate.by == "":
			for _, m := range one.of {
				text := m.String()
				if reason != "" {
					sum.Equivalent++
					text += " (changes nothing: " + reason + ")"
				}
				sum.Survivors = append(sum.Survivors, text)
			}
			continue
		case reason != "":
			sum.stale = append(sum.stale, fmt.Sprintf("%s: listed as equivalent, and caught by %s", one.of[0], one.fate.by))
		}
		sum.MutantsCaught += len(one.of)
		if one.fate.lint {
			sum.CaughtByLint += len(one.of)
		}
	}
	if s.only.String() == "" {
		sum.stale = append(sum.stale, known.unused()...)
	}
	slices.Sort(sum.Survivors)
	return nil
}

// breed makes the mutants of all configurations.
func (s *suite) breed() (all []*species, total int, err error) {
	byEffect := map[string]*species{}
	for _, f := range s.configs {
		mutants, err := mutate(f)
		if err != nil {
			return nil, 0, err
		}
		base := fingerprint(f)
		for _, m := range mutants {
			if !s.only.MatchString(m.String()) {
				continue
			}
			total++
			key := base + "\x00" + m.path + "\x00" + m.change
			one := byEffect[key]
			if one == nil {
				one = &species{}
				byEffect[key] = one
				all = append(all, one)
			}
			one.of = append(one.of, m)
		}
	}
	return all, total, nil
}

// sound makes sure that what a mutant is blamed for is its own: without the pushdown, too, every case passes with what has not been changed.
func (s *suite) sound(ctx context.Context) error {
	seen := map[string]bool{}
	for _, f := range s.configs {
		base := fingerprint(f)
		if seen[base] {
			continue
		}
		seen[base] = true
		off, err := withoutPushdown(f)
		if err != nil {
			return err
		}
		switch name, err := s.failing(ctx, off, ""); {
		case err != nil:
			return err
		case name != "":
			return fmt.Errorf("%s: with scope::pushdown: false a case fails, which says that the pushdown changes what is delivered: %s", f.Name, name)
		}
	}
	return nil
}

// hunt finds the fate of each.
func (s *suite) hunt(ctx context.Context, all []*species) error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex // guards done, errs and the output
		done int
		errs []error
		work = make(chan *species)
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for one := range work {
				var err error
				one.fate, err = s.catch(ctx, one.of[0])
				mu.Lock()
				done++
				if err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", one.of[0], err))
				}
				s.tell(one, done, len(all))
				mu.Unlock()
			}
		})
	}
	for _, one := range all {
		if ctx.Err() != nil {
			break
		}
		work <- one
	}
	close(work)
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
}

// tell shows a mutant that survived, or each.
func (s *suite) tell(one *species, done, total int) {
	switch {
	case one.fate.by == "":
		s.printf("  survived: %s\n", one.of[0])
	case s.verbose:
		s.printf("  %s: caught by %s\n", one.of[0], one.fate.by)
	case done%100 == 0:
		s.printf("  %d of %d\n", done, total)
	}
}

// catch runs the cases, file after file, until one fails, and then lint. A rule that drops what the scope drops at the scrape as well
// (components/scopepushdownconverter) shows with the pushdown off: where no case notices, such a rule is tried once more like that.
func (s *suite) catch(ctx context.Context, m *mutant) (fate, error) {
	changed, err := m.apply()
	if err != nil {
		return fate{}, err
	}
	tried := []*configfile.File{changed}
	if strings.Contains(m.path, metricRelabelConfigs) {
		off, err := withoutPushdown(changed)
		if err != nil {
			return fate{}, err
		}
		tried = append(tried, off)
	}
	for _, f := range tried {
		name, err := s.failing(ctx, f, m.subject())
		if name != "" || err != nil {
			return fate{by: name}, err
		}
	}
	before := findings(m.file)
	for finding := range findings(changed) {
		if !before[finding] {
			return fate{by: "lint: " + finding, lint: true}, nil
		}
	}
	return fate{}, nil
}

// failing returns the name of a case that fails with a configuration; none when all pass.
func (s *suite) failing(ctx context.Context, config *configfile.File, subject string) (string, error) {
	for _, f := range s.keenest(subject) {
		if !isFor(f, config) {
			continue
		}
		r, err := casefile.Run(ctx, s.engine, []*casefile.File{f}, casefile.Options{Config: config, StopAtFirst: true})
		if err != nil {
			return "", err
		}
		for i := range r.Suite.Cases {
			if c := &r.Suite.Cases[i]; c.Failed() {
				s.credit(subject, f)
				return c.Name, nil
			}
		}
	}
	return "", nil
}

// withoutPushdown is a configuration in which only the processor drops what is out of scope.
func withoutPushdown(f *configfile.File) (*configfile.File, error) {
	scope := f.Lookup(processor + "scope")
	if scope == nil || len(scope.Content) == 0 {
		return nil, fmt.Errorf("%s: no scope in it", f.Name)
	}
	first, err := f.DeleteKey(scope, scope.Content[0].Value)
	if err != nil {
		return nil, err
	}
	line := string(f.Text[first.Start:first.End])
	indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
	return f.Apply(configfile.Edit{Start: first.Start, End: first.Start, New: indent + "pushdown: false\n"})
}

// keenest are the test files, with those first that have caught the most of a subject so far.
func (s *suite) keenest(subject string) []*casefile.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := slices.Clone(s.files)
	slices.SortStableFunc(files, func(a, b *casefile.File) int {
		return s.catches[caught{subject, b}] - s.catches[caught{subject, a}]
	})
	return files
}

func (s *suite) credit(subject string, f *casefile.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.catches == nil {
		s.catches = map[caught]int{}
	}
	s.catches[caught{subject, f}]++
}

// caught is what a test file has caught of a subject.
type caught struct {
	subject string
	file    *casefile.File
}

// isFor says whether a test file is for a configuration.
func isFor(f *casefile.File, config *configfile.File) bool {
	return slices.ContainsFunc(f.ConfigPaths, func(path string) bool { return strings.HasSuffix(path, "/"+baseName(config.Name)) })
}

func baseName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// findings are what lint finds, without the places, which move.
func findings(f *configfile.File) map[string]bool {
	all := map[string]bool{}
	for _, finding := range lint.Check(f) {
		all[finding.Rule+": "+finding.Message] = true
	}
	return all
}

const equivalentsFile = "test/scrape/testdata/equivalent.yaml"

// equivalents are the mutants that change nothing.
type equivalents struct {
	list []*equivalent
}

// equivalent is one of them, or several alike.
type equivalent struct {
	// Changes are what mutants are called.
	Changes []string `yaml:"changes"`
	// Reason says why nothing changes.
	Reason string `yaml:"reason"`

	used map[string]bool
}

func readEquivalents(path string) (*equivalents, error) {
	text, err := os.ReadFile(path) //nolint:gosec // a constant
	if err != nil {
		return nil, err
	}
	e := &equivalents{}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&e.list); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return e, nil
}

// reason says why a mutant changes nothing, or nothing.
func (e *equivalents) reason(change string) string {
	for _, one := range e.list {
		if slices.Contains(one.Changes, change) {
			if one.used == nil {
				one.used = map[string]bool{}
			}
			one.used[change] = true
			return one.Reason
		}
	}
	return ""
}

// unused are those that no configuration has.
func (e *equivalents) unused() []string {
	var all []string
	for _, one := range e.list {
		for _, change := range one.Changes {
			if !one.used[change] {
				all = append(all, fmt.Sprintf("%s: there is no such mutant: %s", equivalentsFile, change))
			}
		}
	}
	return all
}
