// SPDX-License-Identifier: Apache-2.0

// Package conformance_test runs the built collector against every case that the two sender suites of prometheus/compliance
// (remotewrite/sender: the one for remote write 2.0, and the older one for 1.0) have, and against what the specifications say
// beyond them. The facts are theirs, the tests are our own: each row asserts what its text says, also where the suite only logs.
//
// docs/remote-write-conformance.md is written from the same table.
package conformance_test

import (
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write docs/remote-write-conformance.md")

func TestMain(m *testing.M) {
	flag.Parse()
	// The scenarios wait, for scrapes and for pauses to end: more of them than there are CPUs can run at a time.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// level is how the suite or the specification puts a requirement.
type level string

const (
	must        level = "MUST"
	should      level = "SHOULD"
	may         level = "MAY"
	recommended level = "RECOMMENDED"
	suite       level = "suite" // only the suite wants it
)

// row is one case: a line of the table in docs/.
type row struct {
	group, name string
	level       level
	// wants is what suite or specification want.
	wants string
	// does is what we do by default, strict what strict: true changes about it, both empty where it is what is wanted.
	does, strict string
	why          string
	check        func(t *testing.T, r run)
	// checkStrict is for strict: true, nil where nothing changes.
	checkStrict func(t *testing.T, r run)
}

// scenario is a run of the collector, for one or several rows.
type scenario struct {
	name string
	// exporter and job hold keys of the exporter and of the scrape job that differ from the base.
	exporter, job map[string]any
	// page is what the target answers to the n-th scrape.
	page func(n int) page
	// answer is the receiver's to the n-th request; nil: always success.
	answer func(n int, r *request) answer
	// endpoint replaces the receiver's address.
	endpoint func(t *testing.T, rec *recorder, address string) string
	// The scenario ends when it has lasted this long and until is true.
	lasts time.Duration
	until func(requests []*request) bool
	// mute says that no request has to come; ends says that the process ends by itself, by default and with strict.
	mute             bool
	ends, endsStrict bool
	rows             []row
}

// always makes a page that never changes.
func always(p page) func(int) page { return func(int) page { return p } }

// count ends a scenario after n requests.
func count(n int) func([]*request) bool {
	return func(requests []*request) bool { return len(requests) >= n }
}

func scenarios() []scenario {
	var all []scenario
	for _, group := range [][]scenario{payload(), answers(), network(), suiteOfVersion1()} {
		all = append(all, group...)
	}
	return all
}

func TestConformance(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			t.Run("default", func(t *testing.T) {
				t.Parallel()
				s.test(t, false)
			})
			if !s.differs() {
				return
			}
			t.Run("strict", func(t *testing.T) {
				t.Parallel()
				s.test(t, true)
			})
		})
	}
}

// differs says whether strict changes anything.
func (s *scenario) differs() bool {
	for _, r := range s.rows {
		if r.checkStrict != nil {
			return true
		}
	}
	return false
}

// test plays a scenario and checks its rows, and what holds for all of them.
func (s *scenario) test(t *testing.T, strict bool) {
	r := play(t, s, strict)
	ends := s.ends
	if strict {
		ends = s.endsStrict
	}
	t.Run("runs until SIGINT and ends with 0", func(t *testing.T) {
		if ends {
			assert.True(t, r.endedEarly)
			return
		}
		assert.False(t, r.endedEarly, "it has ended by itself")
		assert.Zero(t, r.exitCode)
	})
	t.Run("sound requests in one stream", func(t *testing.T) {
		assert.LessOrEqual(t, r.inFlight, 1, "requests at a time")
		for i, req := range r.requests {
			assert.NoError(t, req.err, "request %d cannot be read", i)
			assert.NotEmpty(t, req.series, "request %d is empty", i)
		}
		assertOrder(t, r)
	})
	for _, row := range s.rows {
		t.Run(row.group+" "+row.name, func(t *testing.T) {
			check := row.check
			if strict && row.checkStrict != nil {
				check = row.checkStrict
			}
			check(t, r)
		})
	}
}

// assertOrder looks at what the receiver has accepted: no sample of a series after a later one.
func assertOrder(t *testing.T, r run) {
	t.Helper()
	last := map[string]int64{}
	for i, req := range r.requests {
		if req.status/100 != 2 {
			continue
		}
		for _, s := range req.series {
			for _, x := range s.floats {
				if before, seen := last[s.id()]; seen {
					assert.GreaterOrEqual(t, x.t, before, "request %d: %s", i, s.id())
				}
				last[s.id()] = x.t
			}
		}
	}
}
