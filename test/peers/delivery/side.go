// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/template"
	"time"
)

//go:embed config
var configFiles embed.FS

// The names of the sides, as they are in the figures.
const (
	oursV1 = "ours_v1"
	oursV2 = "ours_v2"
	// oursPlain is remote write 1.0 without the environment that the image sets: with Go's default for the garbage collector.
	oursPlain = "ours_default_gc"
	legacy    = "legacy"
	leanest   = "leanest"
	agent     = "agent"
)

const (
	collectorPath  = "bin/otelcol-runner"
	prometheusPath = "bin/prometheus"
	referencePath  = "configs/collector.yaml"
	imagePath      = "Dockerfile"
	organization   = "acme"
	runner         = "runner-eu-1"
	namespace      = "runner"
	kubiyaType     = "customers-runners"

	startLimit = 30 * time.Second
	stopLimit  = 5 * time.Second
	logTail    = 2000
)

// sides are what is compared, in the order of the table.
var sides = []string{oursV1, oursV2, oursPlain, legacy, leanest, agent}

// settings are what the configuration of a side is rendered from.
type settings struct {
	Dir, URL         string
	Interval         time.Duration
	Targets          []exposed
	Scrape           string
	Limit            int // above the number of exposed series
	Protocol         string
	Health, Profile  string // addresses; no profile where the latter is empty
	TelemetryPort    string
	ScrapeWithLabels string
}

// exposed is one target.
type exposed struct{ Address, Component string }

// process is a running side.
type process struct {
	cmd     *exec.Cmd
	logPath string
	ended   chan struct{} // closed when it has, and cmd.ProcessState says how
}

func render(name string, s settings) (string, error) {
	t, err := template.New(name).Funcs(template.FuncMap{"indent": indent}).ParseFS(configFiles, "config/"+name)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, s); err != nil {
		return "", fmt.Errorf("rendering %s: %w", name, err)
	}
	return out.String(), nil
}

func indent(spaces int, text string) string {
	pad := strings.Repeat(" ", spaces)
	return pad + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+pad)
}

// withAddresses gives the side its own, all of them unused.
func (s settings) withAddresses(side string, profile bool) (settings, error) {
	addresses, err := freeAddresses(3)
	if err != nil {
		return s, err
	}
	s.Health = addresses[0]
	_, s.TelemetryPort, _ = strings.Cut(addresses[1], ":")
	if profile && (side == oursV1 || side == oursV2) {
		s.Profile = addresses[2]
	}
	return s, nil
}

// command writes the configuration of the side into s.Dir and returns what to run and where it says that it is ready.
func command(ctx context.Context, side string, s settings) (cmd *exec.Cmd, ready string, err error) {
	if s.Scrape, err = render("scrape.yaml", s); err != nil {
		return nil, "", err
	}
	if side == agent {
		return agentCommand(ctx, s)
	}
	name, args := side+".yaml", []string{}
	switch side {
	case oursV1, oursV2, oursPlain:
		name, args = "ours.yaml", []string{"--config=" + referencePath}
		s.Protocol = map[string]string{oursV1: "1.0", oursV2: "2.0", oursPlain: "1.0"}[side]
	}
	path, err := writeConfig(name, s)
	if err != nil {
		return nil, "", err
	}
	cmd = exec.CommandContext(ctx, collectorPath, append(args, "--config="+path)...) //nolint:gosec // what is measured
	cmd.Env = append(os.Environ(), "RUNNER_ORGANIZATION="+organization, "RUNNER_NAME="+runner, "RUNNER_NAMESPACE="+namespace, "REMOTE_WRITE_URL="+s.URL)
	if side == oursV1 || side == oursV2 {
		env, err := imageEnv()
		if err != nil {
			return nil, "", err
		}
		cmd.Env = append(cmd.Env, env...)
	}
	return cmd, "http://" + s.Health + "/", nil
}

// imageEnv is what the image sets for the collector, which is measured as it ships; Prometheus sets its own garbage collector from its
// configuration.
func imageEnv() ([]string, error) {
	text, err := os.ReadFile(imagePath)
	if err != nil {
		return nil, fmt.Errorf("reading what the image sets: %w", err)
	}
	var env []string
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(strings.TrimSpace(line), "ENV "); found && !strings.HasPrefix(rest, "PATH=") {
			env = append(env, strings.Fields(rest)...)
		}
	}
	return env, nil
}

func agentCommand(ctx context.Context, s settings) (*exec.Cmd, string, error) {
	// External labels are part of the same section as the scrape settings.
	labels := fmt.Sprintf("global:\n  external_labels: {organization: %s, runner: %s, kubiya_type: %s}\n", organization, runner, kubiyaType)
	s.ScrapeWithLabels = strings.Replace(s.Scrape, "global:\n", labels, 1)
	path, err := writeConfig("agent.yaml", s)
	if err != nil {
		return nil, "", err
	}
	cmd := exec.CommandContext(ctx, prometheusPath, "--agent", "--config.file="+path, //nolint:gosec // what is measured
		"--storage.agent.path="+filepath.Join(s.Dir, "agent"), "--web.listen-address="+s.Health)
	return cmd, "http://" + s.Health + "/-/ready", nil
}

func writeConfig(name string, s settings) (string, error) {
	text, err := render(name, s)
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.Dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("writing the configuration: %w", err)
	}
	return path, nil
}

// freeAddresses returns addresses on loopback that nothing listens on now.
func freeAddresses(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := listen()
		if err != nil {
			return nil, err
		}
		// Closed only when all are found, or the same one could be found again.
		defer func() { _ = l.Close() }()
		out = append(out, l.Addr().String())
	}
	return out, nil
}

// start runs the side and returns when it is ready. It is killed when the context ends.
func start(ctx context.Context, side string, s settings) (*process, error) {
	cmd, ready, err := command(ctx, side, s)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, logPath: filepath.Join(s.Dir, "log.txt"), ended: make(chan struct{})}
	log, err := os.Create(p.logPath)
	if err != nil {
		return nil, fmt.Errorf("writing a log: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own handle
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", side, err)
	}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // the same as ProcessState
	}()
	if err := p.waitReady(ctx, ready); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is not ready: %w\n%s", side, err, p.tail()), p.stop())
	}
	return p, nil
}

func (p *process) waitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended by itself: %s", p.cmd.ProcessState)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop ends the process: politely, then not. What it had not sent does not matter here.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
	case <-time.After(stopLimit):
		if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		<-p.ended
	}
	return nil
}

// tail returns the end of what the process said.
func (p *process) tail() string {
	text, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-logTail):])
}

// needed returns the binaries that the sides need.
func needed(only []string) []string {
	var paths []string
	for _, side := range only {
		path := collectorPath
		if side == agent {
			path = prometheusPath
		}
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}
