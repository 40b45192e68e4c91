// SPDX-License-Identifier: Apache-2.0

// Package arrival says whether what a runner's collectors scrape arrives: by the collectors' own metrics, which know what
// the receiver has acknowledged, and by a query to the backend, which knows what it has.
package arrival

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Options say what is asked. At least one of Metrics and Query is needed.
type Options struct {
	// Metrics are the addresses of the collectors' own metrics: http://127.0.0.1:8888/metrics.
	Metrics []string
	// Query is the backend; nil: it is not asked.
	Query *Query
	// Interval is the time between two questions. 0 means a second.
	Interval time.Duration
}

// Report is what was found out.
type Report struct {
	Collectors []Collector `json:"collectors,omitempty"`
	Backend    *Backend    `json:"backend,omitempty"`
}

// Delivered says that everything that was asked about has arrived.
func (r *Report) Delivered() bool {
	for i := range r.Collectors {
		if !r.Collectors[i].Delivered {
			return false
		}
	}
	return r.Backend == nil || r.Backend.Delivered
}

// Check asks until everything has arrived or ctx is over. The report is of the last answers, and is there with an error too,
// which says who could not be asked. That something has not arrived is no error.
func Check(ctx context.Context, opts Options) (*Report, error) {
	interval := opts.Interval
	if interval == 0 {
		interval = time.Second
	}
	report := &Report{Collectors: make([]Collector, len(opts.Metrics))}
	errs := make([]error, len(opts.Metrics)+1)
	var wg sync.WaitGroup
	for i, address := range opts.Metrics {
		wg.Go(func() {
			w := newWatch(address)
			errs[i] = repeat(ctx, interval, w.ask)
			report.Collectors[i] = w.collector
		})
	}
	if opts.Query != nil {
		report.Backend = &Backend{}
		wg.Go(func() { errs[len(opts.Metrics)] = opts.Query.run(ctx, interval, report.Backend) })
	}
	wg.Wait()
	return report, errors.Join(errs...)
}

// repeat asks until it is done, ctx is over, or waiting cannot help. The error is that of the last answer.
func repeat(ctx context.Context, interval time.Duration, ask func(context.Context) (done bool, err error)) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var last error
	for asked := false; ; asked = true {
		done, err := ask(ctx)
		if done || hopeless(err) {
			return err
		}
		// A question that the end has cut short says less than the one before.
		if ctx.Err() == nil || !asked {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-ticker.C:
		}
	}
}
