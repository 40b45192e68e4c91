// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

const usage = `e2e proves the charts on a real Kubernetes.

It builds and starts a node of its own (test/e2e/cluster.sh), loads the images of this repository and stand-ins for the
vendor's, which expose the real metric names, installs charts/runner with Helm, and lets things happen to it. The backend is
a real Prometheus behind a token, outside of the cluster. What is counted as delivered is what the stand-ins answered and
the backend has; what was asked of the API server is in its audit log.

Progress goes to standard error. A check that fails does not end the run. The last line on standard output is a JSON object.
The exit status is 1 when a check failed, a sample was lost, a series is foreign, or a request went outside of a namespace or
was forbidden; then what the cluster knows is in the folder that the last message names.

Needs root, Go, and Debian's package manager; see test/e2e/README.md. The first time takes about 15 minutes more, for building.

Usage: go run ./test/e2e [flags]

`

// runTimeout ends a run that hangs.
const runTimeout = 20 * time.Minute

// scenario is one thing that happens. An error says that it could not be made to happen; what it broke is in the checks.
type scenario struct {
	name string
	run  func(context.Context, *world) error
}

// scenarios are in the order in which they happen. Each leaves both runners as it found them. The first is what all others
// stand on, the last what they come to.
func scenarios() []scenario {
	return []scenario{
		{"install", install},
		{"helm test", helmTest},
		{"second runner", neighbour},
		{"decoys", decoys},
		{"upgrade and rollback", upgrade},
		{"image updater", updater},
		{"kill -9", killProcess},
		{"pod deleted by force", killPod},
		{"node drain", drainNode},
		{"backend away", outage},
		{"bad deploy", explosion},
		{"three shards", shards},
		{"role without a rule", rights},
		{"reinstall", reinstall},
		// Some of what they ask for exists only once a container has been killed.
		{"expressions", expressions},
		{"accounts", accounts},
	}
}

// result is the last line of output.
type result struct {
	Assertions    int `json:"assertions"`
	Passed        int `json:"passed"`
	Pods          int `json:"pods"`
	Exposed       int `json:"exposed"`
	Stored        int `json:"stored"`
	Lost          int `json:"lost"`
	InFlight      int `json:"in_flight_missing"`
	FailedScrapes int `json:"failed_scrapes"`
	// Shared are missing samples of targets that two collectors asked for a moment, RefusedInScaling what the backend refused of
	// these and of what belongs to them.
	Shared           int   `json:"shared_missing"`
	RefusedInScaling int64 `json:"refused_in_scaling"`
	ForeignSeries    int   `json:"foreign_series"`
	Series           int   `json:"series"`
	// APIRequests are those of the runners' service accounts, Discovery those of them for the version and the kinds.
	APIRequests int `json:"api_requests"`
	Discovery   int `json:"api_discovery"`
	Outside     int `json:"api_requests_outside_namespace"`
	Forbidden   int `json:"forbidden"`
	// ForbiddenOnPurpose are those while a rule was missing on purpose.
	ForbiddenOnPurpose int      `json:"forbidden_on_purpose"`
	Seconds            float64  `json:"seconds"`
	NodeSeconds        float64  `json:"node_seconds"`
	Failed             []string `json:"failed"`
}

type options struct {
	only *regexp.Regexp
	keep bool
}

func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("e2e", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "run only the scenarios whose names match this `regexp`, beside the first and the last")
	list := flags.Bool("list", false, "print the names of the scenarios, and end")
	keep := flags.Bool("keep", false, "leave the node running at the end")
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if *list {
		for _, s := range scenarios() {
			_, _ = fmt.Fprintln(stdout, s.name)
		}
		return 0
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "e2e: --only:", err)
		return 2
	}
	res, err := runAll(ctx, options{only: pattern, keep: *keep}, stderr)
	if encoded := json.NewEncoder(stdout).Encode(res); err == nil {
		err = encoded
	}
	if err := errors.Join(err, res.broken()); err != nil {
		_, _ = fmt.Fprintln(stderr, "e2e:", err)
		return 1
	}
	return 0
}

// broken names the promises that the run broke.
func (r result) broken() error {
	if len(r.Failed) > 0 || r.Lost+r.ForeignSeries+r.Outside+r.Forbidden > 0 {
		return fmt.Errorf("%d of %d checks failed; %d samples lost, %d foreign series, %d requests outside of a namespace, %d forbidden",
			r.Assertions-r.Passed, r.Assertions, r.Lost, r.ForeignSeries, r.Outside, r.Forbidden)
	}
	return nil
}

func runAll(ctx context.Context, o options, stderr io.Writer) (res result, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	root, err := testbed.FindRoot()
	if err != nil {
		return res, err
	}
	folder, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		return res, err
	}
	c := newChecks(stderr)
	defer func() { res.Seconds = time.Since(c.began).Round(100 * time.Millisecond).Seconds() }()
	w, err := create(ctx, c, root, folder)
	if err != nil {
		res.Failed = []string{"starting the node: " + err.Error()}
		return res, errors.Join(fmt.Errorf("the node and what is to be in it: %w", err), w.end(ctx, o.keep), os.RemoveAll(folder))
	}
	res.NodeSeconds = time.Since(c.began).Round(100 * time.Millisecond).Seconds()

	all := scenarios()
	for i, s := range all {
		if i > 0 && i < len(all)-1 && !o.only.MatchString(s.name) {
			continue
		}
		c.begin(s.name)
		failing := s.run(ctx, w)
		if failing != nil {
			c.that(false, s.name+" can be run to its end", "no error", "%v", failing)
		}
		if i == 0 && failing != nil || ctx.Err() != nil {
			break
		}
	}
	res.add(w)
	return res, errors.Join(w.end(ctx, o.keep), os.RemoveAll(folder))
}

// end ends the world. When something failed, what the cluster knows is written down before, and the error says where.
func (w *world) end(ctx context.Context, keep bool) (err error) {
	ctx = context.WithoutCancel(ctx)
	if _, passed := w.checks.count(); passed < len(w.list) || passed == 0 {
		folder, collecting := w.evidence(ctx)
		err = errors.Join(collecting, fmt.Errorf("what the cluster knows is in %s", folder))
	}
	return errors.Join(err, w.destroy(ctx, keep))
}
