// SPDX-License-Identifier: Apache-2.0

// Command scrape tests the configurations in configs/ by their cases in configs/tests, and then the cases: by the faults of earlier
// configurations, and by mutants of each relabel rule.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"syscall"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

const usage = `scrape tests the configurations in configs/ by their cases in configs/tests, and then the cases themselves.

  1. All cases run with each configuration, as runnerctl test runs them. Each job, relabel rule and entry of the scope has to be
     exercised by one.
  2. Each fault of an earlier configuration (testdata/faults) has to be caught by runnerctl lint or by a case.
  3. Each relabel rule, and each entry of the scope and of the identity, is changed in turn: another action, another regular
     expression, another label, no rule at all. A case has to fail, or lint has to find something new. What changes nothing by its
     construction is in testdata/equivalent.yaml with the reason, and counts as a survivor all the same.

What differs between two configurations outside of receivers and processors does not matter to a mutant, so that one run speaks for
all configurations that have these in common.

Progress goes to standard error. The last line on standard output is a JSON object. The exit status is 1 when a case fails, a fault is
missed, something is not covered, or less than 95 % of the mutants are caught.

Usage: go run ./test/scrape [flags]

`

// options are the flags.
type options struct {
	root    string         // of the repository
	only    *regexp.Regexp // mutants
	verbose bool
}

// gcPercent trades memory, of which it takes some 300 MB, for a fifth of the time.
const gcPercent = 400

func main() {
	debug.SetGCPercent(gcPercent)
	virtualtime.Main(func(clock virtualtime.Clock) int {
		ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer cancel()
		return execute(ctx, clock, os.Args[1:], os.Stdout, os.Stderr)
	})
}

func execute(ctx context.Context, clock virtualtime.Clock, args []string, stdout, stderr io.Writer) int {
	o, code, ok := parse(args, stderr)
	if !ok {
		return code
	}
	s, err := runAll(ctx, clock, o, stderr)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "scrape:", err) // progress only
		return 2
	}
	out := json.NewEncoder(stdout)
	out.SetEscapeHTML(false) // for people
	if err := out.Encode(s); err != nil {
		return 2
	}
	if failures := s.failures(); len(failures) > 0 {
		for _, f := range failures {
			_, _ = fmt.Fprintln(stderr, "scrape:", f) // progress only
		}
		return 1
	}
	return 0
}

// parse reads the flags. ok is false when there is nothing to run.
func parse(args []string, stderr io.Writer) (o options, code int, ok bool) {
	flags := flag.NewFlagSet("scrape", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "try the mutants whose description matches this `regexp`")
	flags.BoolVar(&o.verbose, "v", false, "show each mutant, and what caught it")
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, usage) // progress only
		flags.PrintDefaults()
	}
	err := flags.Parse(args)
	if err == nil {
		o.only, err = regexp.Compile(*only)
	}
	if err == nil {
		o.root, err = testbed.FindRoot()
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return o, 0, false
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "scrape:", err) // progress only
		return o, 2, false
	case flags.NArg() > 0:
		_, _ = fmt.Fprintf(stderr, "scrape: %q is no flag: see --help\n", flags.Arg(0)) // progress only
		return o, 2, false
	}
	return o, 0, true
}

// path is a path in the repository.
func (o *options) path(elements ...string) string {
	return filepath.Join(append([]string{o.root}, elements...)...)
}
