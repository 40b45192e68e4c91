// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubiyabot/otelcol-runner/configs"
)

//go:embed config
var configFiles embed.FS

// stopTimeout is how long the collector may take to stop.
const stopTimeout = 15 * time.Second

// runnerLabel is one of the labels that every delivered series carries.
type runnerLabel struct{ name, value string }

// collector is the running binary.
type collector struct {
	cmd     *exec.Cmd
	logPath string
	ended   chan error
}

// startCollector runs the binary with the reference configuration, under the scrape configuration and what else the
// oracle needs to be otherwise.
func startCollector(binary, dir, exporterConfig, scrapeConfig, remoteWriteURL string) (*collector, error) {
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("the collector's binary is missing: run `make build` first (%w)", err)
	}
	receiver := "receivers:\n  prometheus:\n    config:\n" +
		indent(strings.ReplaceAll(scrapeConfig, "$", "$$"), 6)
	overrides, err := configFiles.ReadFile("config/collector.yaml")
	if err != nil {
		return nil, err
	}
	args := []string{}
	for _, file := range []struct{ name, text string }{
		{"collector.yaml", string(configs.Collector)}, {"receiver.yaml", receiver},
		{"overrides.yaml", string(overrides)}, {"exporter.yaml", exporterConfig},
	} {
		path := filepath.Join(dir, file.name)
		if err := os.WriteFile(path, []byte(file.text), 0o600); err != nil {
			return nil, fmt.Errorf("writing the collector's configuration: %w", err)
		}
		args = append(args, "--config="+path)
	}
	logPath := filepath.Join(dir, "collector.log")
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) //nolint:gosec // our own temporary folder
	if err != nil {
		return nil, fmt.Errorf("writing the collector's log: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own handle

	cmd := exec.Command(binary, args...) //nolint:gosec // the binary under test, ended by stop
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "REMOTE_WRITE_URL="+remoteWriteURL, "EXACT_LOG_DIRECTORY="+filepath.Join(dir, "log"))
	for _, l := range runnerLabels {
		if variable, found := map[string]string{
			"organization": "RUNNER_ORGANIZATION", "runner": "RUNNER_NAME", "namespace": "RUNNER_NAMESPACE",
		}[l.name]; found {
			cmd.Env = append(cmd.Env, variable+"="+l.value)
		}
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", binary, err)
	}
	c := &collector{cmd: cmd, logPath: logPath, ended: make(chan error, 1)}
	go func() { c.ended <- cmd.Wait() }()
	return c, nil
}

// running returns an error with the end of the log once the process has ended by itself.
func (c *collector) running() error {
	select {
	case err := <-c.ended:
		c.ended <- err // for stop
		return fmt.Errorf("the collector ended by itself (%w); the end of its log:\n%s", orEnded(err), c.logTail())
	default:
		return nil
	}
}

func orEnded(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// stop ends the collector as Kubernetes does, and kills it when it does not react.
func (c *collector) stop() error {
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the collector: %w", err)
	}
	select {
	case err := <-c.ended:
		if err != nil {
			return fmt.Errorf("the collector did not end cleanly (%w); the end of its log:\n%s", err, c.logTail())
		}
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(
			fmt.Errorf("the collector did not stop within %s and was killed; the end of its log:\n%s", stopTimeout, c.logTail()),
			c.cmd.Process.Kill(),
		)
	}
}

func (c *collector) logTail() string {
	log, err := os.ReadFile(c.logPath)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-20):], []byte("\n")))
}

func indent(text string, columns int) string {
	prefix := strings.Repeat(" ", columns)
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(prefix + line)
	}
	return b.String()
}
