// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubiyabot/otelcol-runner/internal/casefile"
	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/lint"
)

// faultsDir holds a configuration for each fault, NAME.yaml, and a test file for what can be seen by running it, NAME_test.yaml.
const faultsDir = "test/scrape/testdata/faults"

// faultRules are the rules of lint that speak of a fault. Whatever else lint finds in such a file does not count.
var faultRules = map[string]string{
	"double-scrape":      "target-twice",
	"instance-collision": "constant-instance",
	"no-namespace":       "no-namespace",
	"vanished-address":   "refused-key",
}

// faults looks for what catches each fault of an earlier configuration.
func (s *suite) faults(ctx context.Context, sum *summary) error {
	paths, err := filepath.Glob(s.path(faultsDir, "*.yaml"))
	if err != nil {
		return err
	}
	sum.FaultsCaught = map[string]string{}
	for _, path := range paths {
		name, isTest := strings.CutSuffix(filepath.Base(path), "_test.yaml")
		if isTest {
			continue
		}
		name = strings.TrimSuffix(name, ".yaml")
		by, err := s.catchFault(ctx, name)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		sum.Faults++
		if len(by) == 0 {
			s.printf("fault %s: caught by nothing\n", name)
			continue
		}
		sum.FaultsCaught[name] = strings.Join(by, "; ")
		s.printf("fault %s: caught by %s\n", name, sum.FaultsCaught[name])
	}
	return nil
}

// catchFault says which rule of lint and which cases catch a fault.
func (s *suite) catchFault(ctx context.Context, name string) ([]string, error) {
	f, err := configfile.Load(s.path(faultsDir, name+".yaml"))
	if err != nil {
		return nil, err
	}
	var by []string
	rule := faultRules[name]
	if slices.ContainsFunc(lint.Check(f), func(found lint.Finding) bool { return found.Rule == rule }) {
		by = append(by, "lint "+rule)
	}
	tests, err := filepath.Glob(s.path(faultsDir, name+"_test.yaml"))
	if err != nil || len(tests) == 0 {
		return by, err
	}
	files, err := casefile.Load(tests...)
	if err != nil {
		return nil, err
	}
	r, err := casefile.Run(ctx, s.engine, files, casefile.Options{})
	if err != nil {
		return nil, err
	}
	for i := range r.Suite.Cases {
		if c := &r.Suite.Cases[i]; c.Failed() {
			by = append(by, "the case: "+c.Name)
		}
	}
	return by, nil
}
