// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"text/template"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/procfs"
)

// The names of the sides, as they are in the figures.
const (
	sideWith    = "with"
	sideWithout = "without"
)

var (
	sides  = []string{sideWith, sideWithout}
	titles = map[string]string{sideWith: "with pushdown", sideWithout: "without"}
)

const (
	collectorPath = "bin/otelcol-runner"
	referencePath = "configs/collector.yaml"

	startLimit  = 30 * time.Second
	stopLimit   = 10 * time.Second
	answerLimit = 10 * time.Second
	logTail     = 2000
	mib         = 1 << 20
)

//go:embed config/overlay.yaml
var overlay string

// settings are what overlay.yaml is rendered from.
type settings struct {
	Side, URL, Dir, Telemetry, Health, Profile string
	Interval                                   time.Duration
	Pushdown                                   bool
	Targets                                    []exposed
}

// measurement is one side in one round: what the collector has used and done while it was measured.
type measurement struct {
	cpu, elapsed time.Duration
	rss          float64 // MiB, at the end
	exposed      float64 // samples, by the targets' own count
	received     float64 // points that came out of the receiver, without what Prometheus adds
	kept         float64 // points that left the processor, without those
}

// cpuOfSample is in microseconds of an exposed sample.
func (m measurement) cpuOfSample() float64 { return m.cpu.Seconds() * 1e6 / m.exposed }

// share is in per cent of one core.
func (m measurement) share() float64 { return 100 * m.cpu.Seconds() / m.elapsed.Seconds() }

// round starts both collectors, lets them warm up, and measures them. The result is in the order of sides.
func (b *bench) round(ctx context.Context, dir string) (measured []measurement, err error) {
	warm := time.Now().Add(b.warmUp)
	var running []*collector
	defer func() {
		for _, c := range running {
			err = errors.Join(err, c.stop(), os.RemoveAll(c.settings.Dir))
		}
	}()
	for _, side := range sides {
		c, err := b.start(ctx, side, dir+"-"+side)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", titles[side], err)
		}
		running = append(running, c)
	}
	if err := wait(ctx, time.Until(warm)); err != nil {
		return nil, err
	}
	if b.profile != "" {
		profiled := make(chan error, len(running))
		for _, c := range running {
			go func() {
				profiled <- saveProfile(ctx, c.settings.Profile, fmt.Sprintf("%s-%s.cpu.pprof", b.profile, c.settings.Side), b.measure)
			}()
			defer func() { err = errors.Join(err, <-profiled) }()
		}
	}
	before, err := b.readAll(ctx, running)
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, b.measure); err != nil {
		return nil, err
	}
	after, err := b.readAll(ctx, running)
	if err != nil {
		return nil, err
	}
	want := float64(b.targets.info.Series) * b.measure.Seconds() / b.interval.Seconds()
	for i := range running {
		m := after[i].since(&before[i])
		if math.Abs(m.exposed-want) > maxShortfall*want {
			return nil, fmt.Errorf("%s: %.0f samples were scraped and not %.0f: the machine was too busy", titles[sides[i]], m.exposed, want)
		}
		measured = append(measured, m)
	}
	return measured, nil
}

func (b *bench) start(ctx context.Context, side, dir string) (*collector, error) {
	if err := os.Mkdir(dir, 0o750); err != nil {
		return nil, err
	}
	s := settings{
		Side: side, URL: "http://" + b.targets.info.Sink, Dir: dir, Interval: b.interval, Pushdown: side == sideWith, Targets: b.targets.info.Targets,
	}
	for _, address := range []*string{&s.Telemetry, &s.Health, &s.Profile} {
		var err error
		if *address, err = freeAddress(ctx); err != nil {
			return nil, err
		}
	}
	return startCollector(ctx, s)
}

// reading is what has been used and done since the start.
type reading struct {
	at                      time.Time
	cpu                     time.Duration
	rss                     float64
	exposed, received, kept float64
}

// since is what has been used and done between the two.
func (r *reading) since(before *reading) measurement {
	return measurement{
		cpu: r.cpu - before.cpu, elapsed: r.at.Sub(before.at), rss: r.rss,
		exposed: r.exposed - before.exposed, received: r.received - before.received, kept: r.kept - before.kept,
	}
}

func (b *bench) readAll(ctx context.Context, running []*collector) ([]reading, error) {
	var all []reading
	for _, c := range running {
		r, err := b.read(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", titles[c.settings.Side], err, c.tail())
		}
		all = append(all, r)
	}
	return all, nil
}

func (b *bench) read(ctx context.Context, c *collector) (reading, error) {
	exposed, err := b.targets.exposed(ctx, c.settings.Side)
	if err != nil {
		return reading{}, err
	}
	points, err := c.points(ctx)
	if err != nil {
		return reading{}, err
	}
	proc, err := procfs.NewProc(c.cmd.Process.Pid)
	if err != nil {
		return reading{}, fmt.Errorf("the collector has ended: %w", err)
	}
	stat, err := proc.Stat()
	if err != nil {
		return reading{}, err
	}
	return reading{
		at: time.Now(), cpu: time.Duration(stat.CPUTime() * float64(time.Second)), rss: float64(stat.ResidentMemory()) / mib,
		exposed: exposed, received: points["kept/scope"] + points["dropped/metric"], kept: points["kept/scope"],
	}, nil
}

// collector is a running side.
type collector struct {
	settings settings
	cmd      *exec.Cmd
	logPath  string
	ended    chan struct{} // closed when it has, and cmd.ProcessState says how
}

// startCollector runs the built collector and returns when it is ready. It is killed when the context ends.
func startCollector(ctx context.Context, s settings) (*collector, error) {
	t, err := template.New("overlay.yaml").Funcs(template.FuncMap{"port": portOf}).Parse(overlay)
	if err != nil {
		return nil, err
	}
	var config bytes.Buffer
	if err := t.Execute(&config, s); err != nil {
		return nil, fmt.Errorf("rendering the configuration: %w", err)
	}
	path := filepath.Join(s.Dir, "overlay.yaml")
	if err := os.WriteFile(path, config.Bytes(), 0o600); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	c := &collector{settings: s, logPath: filepath.Join(s.Dir, "log.txt"), ended: make(chan struct{})}
	log, err := os.Create(c.logPath)
	if err != nil {
		return nil, fmt.Errorf("writing a log: %w", err)
	}
	defer func() { _ = log.Close() }()                                                           // the child has its own handle
	c.cmd = exec.CommandContext(ctx, collectorPath, "--config="+referencePath, "--config="+path) //nolint:gosec // what is measured
	c.cmd.Stdout, c.cmd.Stderr = log, log
	// With the garbage collector as the image sets it.
	c.cmd.Env = append(os.Environ(), "RUNNER_ORGANIZATION=acme", "RUNNER_NAME=r1", "RUNNER_NAMESPACE=runner", "REMOTE_WRITE_URL="+s.URL, "GOGC=50")
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the collector: %w", err)
	}
	go func() {
		defer close(c.ended)
		_ = c.cmd.Wait() // the same as ProcessState
	}()
	if err := c.waitReady(ctx, "http://"+s.Health+"/"); err != nil {
		return nil, errors.Join(fmt.Errorf("the collector is not ready: %w\n%s", err, c.tail()), c.stop())
	}
	return c, nil
}

func portOf(address string) (string, error) {
	_, port, err := net.SplitHostPort(address)
	return port, err
}

func (c *collector) waitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		if _, err := get(ctx, url); err == nil {
			return nil
		}
		select {
		case <-c.ended:
			return fmt.Errorf("it ended by itself: %s", c.cmd.ProcessState)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// points are the processor's counts by decision and reason, from the collector's own metrics.
func (c *collector) points(ctx context.Context) (map[string]float64, error) {
	body, err := get(ctx, "http://"+c.settings.Telemetry+metricsPath)
	if err != nil {
		return nil, fmt.Errorf("asking the collector: %w", err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("the collector's own metrics: %w", err)
	}
	points := map[string]float64{}
	for _, m := range families["otelcol_processor_runner_points_total"].GetMetric() {
		points[labelOf(m, "decision")+"/"+labelOf(m, "reason")] += m.GetCounter().GetValue()
	}
	if len(points) == 0 {
		return nil, errors.New("the collector says nothing of otelcol_processor_runner_points_total")
	}
	return points, nil
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// stop ends the process: politely, then not. What it had not sent does not matter here.
func (c *collector) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.ended:
	case <-time.After(stopLimit):
		_ = c.cmd.Process.Kill() // it may have ended
		<-c.ended
	}
	return nil
}

// tail returns the end of what the process said.
func (c *collector) tail() string {
	text, err := os.ReadFile(c.logPath)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-logTail):])
}

func saveProfile(ctx context.Context, address, path string, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d+answerLimit)
	defer cancel()
	profile, err := get(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", address, d.Seconds()))
	if err != nil {
		return fmt.Errorf("taking a profile: %w", err)
	}
	return os.WriteFile(path, profile, 0o600)
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return body, err
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("opening a port on loopback: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// wait waits, or ends early with the context.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
