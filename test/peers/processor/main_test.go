// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

// The size of the binary is a promise that no busy machine can change.
func TestBinarySize(t *testing.T) {
	info, err := os.Stat(testbed.Collector(t))
	require.NoError(t, err)
	assert.LessOrEqual(t, float64(info.Size())/mib, float64(maxBinaryMiB))
}

func TestReadBenchmarks(t *testing.T) {
	m := measurements{}
	for _, ns := range []string{"210.0", "190.5", "200.0"} {
		require.NoError(t, m.read(strings.NewReader("goos: linux\nBenchmarkKept-2 \t 10\t 0.004 allocs/point\t "+ns+" ns/point\nPASS\n")))
	}
	assert.InDelta(t, 200.0, m.median("Kept", "ns/point"), 0)
	assert.InDelta(t, 0.004, m.median("Kept", "allocs/point"), 0)
	assert.EqualError(t, m.read(strings.NewReader("BenchmarkKept-2 10 x ns/point\n")),
		`benchmark line "BenchmarkKept-2 10 x ns/point": strconv.ParseFloat: parsing "x": invalid syntax`)
}

func TestCheck(t *testing.T) {
	require.NoError(t, figures{Kept: 200, Dropped: 5, BinaryMiB: 89.5}.check())
	assert.EqualError(t, figures{Kept: 300, Dropped: 301, Allocs: 0.5, BinaryMiB: 91}.check(), strings.Join([]string{
		"a kept point takes 300 ns, promised are less than 300",
		"a dropped point takes 301 ns, promised is less than a kept one's 300",
		"0.5 allocations a kept point, promised are none",
		"the binary has 91.0 MiB, promised are at most 90",
	}, "\n"))
}
