// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/casefile"
	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

// What is wanted.
const (
	minCases  = 60
	minCaught = 0.95 // of the mutants
)

// summary is the last line.
type summary struct {
	Configs     int `json:"configs"`
	Jobs        int `json:"jobs"`
	JobsCovered int `json:"jobs_covered"`
	// Covered and Coverable count jobs, relabel rules and entries of the scope.
	Covered   int `json:"covered"`
	Coverable int `json:"coverable"`
	// Cases are the different ones; each runs with the configurations that its file names, which makes Runs.
	Cases  int `json:"cases"`
	Passed int `json:"passed"`
	Runs   int `json:"runs"`

	Faults       int               `json:"faults"`
	FaultsCaught map[string]string `json:"faults_caught"`

	// Mutants are those of all configurations, DistinctMutants those that had to be run.
	Mutants         int `json:"mutants"`
	MutantsCaught   int `json:"mutants_caught"`
	DistinctMutants int `json:"distinct_mutants"`
	// CaughtByLint are the mutants that no case caught and lint did.
	CaughtByLint int `json:"caught_by_lint"`
	// Survivors are what nothing caught, Equivalent those among them that change nothing.
	Survivors  []string `json:"survivors"`
	Equivalent int      `json:"equivalent"`

	Seconds float64 `json:"seconds"`

	stale []string // what is listed as equivalent and is not, or is not there
}

// failures say what is not as wanted.
func (s *summary) failures() []string {
	var all []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	check(s.Passed == s.Cases, "%d of %d cases failed", s.Cases-s.Passed, s.Cases)
	check(s.Cases >= minCases, "%d cases, %d are wanted", s.Cases, minCases)
	check(s.JobsCovered == s.Jobs, "%d of %d jobs are covered by no case", s.Jobs-s.JobsCovered, s.Jobs)
	check(s.Covered == s.Coverable, "%d of %d parts of the configurations are covered by no case", s.Coverable-s.Covered, s.Coverable)
	check(len(s.FaultsCaught) == s.Faults, "%d of %d faults were caught by nothing", s.Faults-len(s.FaultsCaught), s.Faults)
	check(float64(s.MutantsCaught) >= minCaught*float64(s.Mutants), "%d of %d mutants were caught, %d %% are wanted", s.MutantsCaught, s.Mutants, int(100*minCaught))
	for _, text := range s.stale {
		check(false, "%s", text)
	}
	return all
}

// suite is what is tested.
type suite struct {
	options
	engine  *scrapetest.Engine
	out     io.Writer
	configs []*configfile.File
	files   []*casefile.File

	mu      sync.Mutex // guards catches
	catches map[caught]int
}

func (s *suite) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format, args...) // progress only
}

func runAll(ctx context.Context, clock virtualtime.Clock, o options, out io.Writer) (*summary, error) {
	begin := time.Now()
	s := &suite{options: o, engine: scrapetest.New(clock), out: out}
	if err := s.load(); err != nil {
		return nil, err
	}
	sum := &summary{Configs: len(s.configs), Survivors: []string{}}
	for _, step := range []func(context.Context, *summary) error{s.cases, s.faults, s.mutants} {
		if err := step(ctx, sum); err != nil {
			return nil, err
		}
	}
	sum.Seconds = math.Round(time.Since(begin).Seconds()*10) / 10
	return sum, nil
}

func (s *suite) load() (err error) {
	paths, err := filepath.Glob(s.path("configs", "*.yaml"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		f, err := configfile.Load(path)
		if err != nil {
			return err
		}
		f.Name = filepath.Join("configs", filepath.Base(path))
		s.configs = append(s.configs, f)
	}
	s.files, err = casefile.Load(s.path("configs", "tests"))
	return err
}

// cases runs every case with every configuration that it is for.
func (s *suite) cases(ctx context.Context, sum *summary) error {
	r, err := casefile.Run(ctx, s.engine, s.files, casefile.Options{Coverage: true})
	if err != nil {
		return err
	}
	failed := map[string]bool{} // by file and line
	for i := range r.Suite.Cases {
		c := &r.Suite.Cases[i]
		place := fmt.Sprintf("%s:%d", c.File, c.Line)
		failed[place] = failed[place] || c.Failed()
	}
	sum.Runs = len(r.Suite.Cases)
	sum.Cases = len(failed)
	for _, wrong := range failed {
		if !wrong {
			sum.Passed++
		}
	}
	for i := range r.Coverage.Items {
		item := &r.Coverage.Items[i]
		covered := 0
		if item.Missing == "" {
			covered = 1
		}
		sum.Coverable, sum.Covered = sum.Coverable+1, sum.Covered+covered
		if item.Kind == "job" {
			sum.Jobs, sum.JobsCovered = sum.Jobs+1, sum.JobsCovered+covered
		}
	}
	shown := r.Suite
	shown.Cases = append(slices.Clone(shown.Cases), r.Coverage.Case(100))
	s.printf("cases: %d, of which %d passed; with %d configurations %d runs\n", sum.Cases, sum.Passed, sum.Configs, sum.Runs)
	if !shown.Failed() {
		return nil
	}
	return report.Write(s.out, "text", shown, report.Options{})
}
