// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

// head begins the page.
const head = `# Conformance of the sender

What the exporter ` + "`durable_remote_write`" + ` does in each case that [prometheus/compliance](https://github.com/prometheus/compliance) has for senders: the suite of
remote write 2.0, its groups and cases by name, and the older suite of 1.0. Rows of the level "suite" are wanted by a suite, by what it can observe, or have
no case in either. Each row is a test that runs the built collector against a scrape target and a receiver:

    go test ./test/conformance

It is %d rows in %d runs of the collector, %d of them with ` + "`strict: true`" + `. In every run the process must live until SIGINT and end with 0, every request must
be readable and hold series, there must be one request at a time, and no series may go back in time.

Specification and durability disagree about 4xx: the specification wants samples dropped that a receiver refuses, whatever the reason. ` + "`strict: true`" + `
does that; it is meant for conformance runs. **By default no 4xx drops anything**: what can become right
again is repeated, what cannot is set aside on disk.

The runs differ from the defaults in ` + "`protocol: \"2.0\"`" + ` (the groups Fallback and NoFallbackOn2xx: ` + "`auto`" + `, RW1 and the older suite: ` + "`\"1.0\"`" + `), a scrape each second, and,
where the suite counts requests, ` + "`receiver: victoriametrics`" + `, which lets several scrapes share a request.

Every row passes as it is written here. Where the column *by default* is empty, we do what is wanted; where *with strict* is empty, it changes nothing.
With ` + "`strict: true`" + ` we do what is wanted in all rows but three, which are of level MAY: ` + "`custom_buckets`" + ` (the collector's Prometheus receiver has no composite
form), ` + "`concurrent_requests`" + ` and ` + "`rw1_metadata_handling`" + `. The Go module proxy does not serve the suite, so these are our own tests of its cases.

This file is written by ` + "`go test ./test/conformance -run TestPage -update`" + `.
`

// groups are the groups in the order of the page.
var groups = []string{
	"Protocol", "HTTPMethod", "Symbol", "Sample", "Label", "Timestamp", "Exemplar", "Histogram", "Metadata", "Edge", "Robustness", "Combined", "Batching",
	"Concurrent", "Retry", "Backoff", "Fallback", "NoFallbackOn2xx", "Response", "ContentType", "Error", "Network", "RW1", "older suite",
}

// writePage returns the page that the table makes.
func writePage(t *testing.T) string {
	t.Helper()
	byGroup := map[string][]row{}
	rows, runs, strict := 0, 0, 0
	for _, s := range scenarios() {
		runs++
		if s.differs() {
			runs++
			strict++
		}
		for _, r := range s.rows {
			require.Contains(t, groups, r.group, "%s: the group has no place on the page", r.name)
			byGroup[r.group] = append(byGroup[r.group], r)
			rows++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, head, rows, runs, strict)
	for _, group := range groups {
		require.NotEmpty(t, byGroup[group], "group %s has no case", group)
		fmt.Fprintf(&b, "\n## %s%s\n\n| case | level | wanted | by default | with strict | why |\n| --- | --- | --- | --- | --- | --- |\n", strings.ToUpper(group[:1]), group[1:])
		for _, r := range byGroup[group] {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.name, r.level, r.wants, r.does, r.strict, r.why)
		}
	}
	return b.String()
}

// TestPage compares the page in docs/ with the table.
func TestPage(t *testing.T) {
	path := filepath.Join(testbed.Root(t), "docs", "remote-write-conformance.md")
	want := writePage(t)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o600))
	}
	got, err := os.ReadFile(path) //nolint:gosec // a file of the repository
	require.NoError(t, err)
	assert.Equal(t, want, string(got), "run `go test ./test/conformance -run TestPage -update`")
}

// TestTable looks at the table itself.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenarios() {
		assert.NotEmpty(t, s.rows, s.name)
		for _, r := range s.rows {
			id := r.group + "/" + r.name
			assert.False(t, seen[id], "%s is there twice", id)
			seen[id] = true
			assert.NotNil(t, r.check, id)
			assert.Equal(t, r.strict != "", r.checkStrict != nil, "%s: what strict changes is said, and tested", id)
			assert.False(t, r.strict != "" && r.does == "", "%s: what we do by default is said", id)
		}
	}
}
