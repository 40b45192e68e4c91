// SPDX-License-Identifier: Apache-2.0

// Command processor prints what the runner processor costs, as one JSON object: the benchmarks of processors/runnerprocessor on
// 40 targets x 2,500 series, next to the predecessor's metrics_transform in the same run, and the size of the built collector,
// at rest on disk and idle in memory. `make bench-processor` runs it. It exits 1 when a promise does not hold.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	rounds = 5
	// What is promised.
	maxNanoseconds = 300
	maxBinaryMiB   = 90

	collector  = "bin/otelcol-runner"
	healthURL  = "http://127.0.0.1:13133/"
	startLimit = 30 * time.Second
	settle     = 15 * time.Second // after which an idle collector's memory no longer moves
	mib        = 1 << 20
)

// figures is the result.
type figures struct {
	Kept      float64 `json:"ns_per_point_kept"`
	Dropped   float64 `json:"ns_per_point_dropped"`
	ByReason  drops   `json:"ns_per_point_dropped_by"`
	Allocs    float64 `json:"allocs_per_point"`
	Legacy    float64 `json:"ns_per_point_legacy"`
	Ratio     float64 `json:"legacy_ratio"`
	IdleRSS   float64 `json:"idle_rss_mib"`
	BinaryMiB float64 `json:"binary_mib"`
}

type drops struct {
	Metric    float64 `json:"metric"`
	Namespace float64 `json:"namespace"`
	Limit     float64 `json:"limit"`
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	info, err := os.Stat(collector)
	if err != nil {
		return fmt.Errorf("%w: run `make build` first, and this from the root of the repository", err)
	}
	results, err := benchmarks(ctx)
	if err != nil {
		return err
	}
	rss, err := idleRSS(ctx)
	if err != nil {
		return err
	}
	f := figures{
		Kept:     results.median("Kept", "ns/point"),
		ByReason: drops{results.median("DroppedByMetric", "ns/point"), results.median("DroppedByNamespace", "ns/point"), results.median("DroppedByLimit", "ns/point")},
		// Less than one allocation in a hundred points is the batch's, not the point's.
		Allocs:    math.Floor(results.median("Kept", "allocs/point")*100) / 100,
		Legacy:    results.median("Legacy", "ns/point"),
		IdleRSS:   rss,
		BinaryMiB: round(float64(info.Size()) / mib),
	}
	f.Dropped = f.ByReason.Metric
	f.Ratio = round(f.Kept / f.Legacy)
	line, err := json.Marshal(f)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	return f.check()
}

// check compares with what is promised.
func (f figures) check() error {
	var errs []error
	if f.Kept >= maxNanoseconds {
		errs = append(errs, fmt.Errorf("a kept point takes %.0f ns, promised are less than %d", f.Kept, maxNanoseconds))
	}
	if f.Dropped >= f.Kept {
		errs = append(errs, fmt.Errorf("a dropped point takes %.0f ns, promised is less than a kept one's %.0f", f.Dropped, f.Kept))
	}
	if f.Allocs > 0 {
		errs = append(errs, fmt.Errorf("%g allocations a kept point, promised are none", f.Allocs))
	}
	if f.BinaryMiB > maxBinaryMiB {
		errs = append(errs, fmt.Errorf("the binary has %.1f MiB, promised are at most %d", f.BinaryMiB, maxBinaryMiB))
	}
	return errors.Join(errs...)
}

// measurements are the values of a benchmark's units, one per round.
type measurements map[string]map[string][]float64

func (m measurements) median(name, unit string) float64 {
	values := slices.Clone(m[name][unit])
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	return round(values[len(values)/2])
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// benchmarks runs the Go benchmarks, all of them once a round, so that what the machine does meanwhile meets all alike.
func benchmarks(ctx context.Context) (measurements, error) {
	out := measurements{}
	for i := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", i+1, rounds)
		cmd := exec.CommandContext(ctx, "go", "test", "./processors/runnerprocessor", "-run", "^$", "-bench", ".", "-benchtime", "10x")
		cmd.Stderr = os.Stderr
		text, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("benchmark: %w\n%s", err, text)
		}
		if err := out.read(bytes.NewReader(text)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// read takes lines like `BenchmarkKept-2  10  0.004 allocs/point  198.0 ns/point`.
func (m measurements) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(fields[0], "Benchmark"), "-")
		if m[name] == nil {
			m[name] = map[string][]float64{}
		}
		for i := 2; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return fmt.Errorf("benchmark line %q: %w", lines.Text(), err)
			}
			m[name][fields[i+1]] = append(m[name][fields[i+1]], v)
		}
	}
	return lines.Err()
}

// idleRSS starts the collector with its reference configuration and returns the memory, in MiB, that it holds while nothing but
// its own metrics is scraped. Outside of a cluster the Kubernetes jobs find no targets.
func idleRSS(ctx context.Context) (mebibytes float64, err error) {
	cmd := exec.CommandContext(ctx, collector, "--config=configs/collector.yaml")
	cmd.Env = append(os.Environ(), "RUNNER_ORGANIZATION=acme", "RUNNER_NAME=r1", "RUNNER_NAMESPACE=runner", "REMOTE_WRITE_URL=http://127.0.0.1:1/api/v1/write")
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGKILL) // its queue would keep it
		_ = cmd.Wait()
	}()
	if err := waitHealthy(ctx); err != nil {
		return 0, err
	}
	fmt.Fprintf(os.Stderr, "idle for %s\n", settle)
	time.Sleep(settle)
	return residentMiB(cmd.Process.Pid)
}

func waitHealthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, healthURL, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the collector is not healthy after %s: is one of its ports (4317, 4318, 8888, 13133) in use?", startLimit)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func residentMiB(pid int) (float64, error) {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return round(kib / 1024), err
		}
	}
	return 0, errors.New("no VmRSS in /proc: the collector has ended")
}
