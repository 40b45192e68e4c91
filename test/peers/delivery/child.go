// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Roles of this program's child processes. What is measured shares no process with what it is measured by.
const (
	roleTargets  = "targets"
	roleSink     = "sink"
	roleExporter = "exporter"
)

// child is this program, started again in another role. It ends when its standard input is closed.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	// addresses are host:port, as many as the child was asked for.
	addresses []string
}

// startChild starts the role and reads n addresses from it.
func startChild(ctx context.Context, n int, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, args...) //nolint:gosec // this very program
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the %s: %w", args[0], err)
	}
	c := &child{cmd: cmd, stdin: stdin}
	lines := bufio.NewScanner(stdout)
	for len(c.addresses) < n && lines.Scan() {
		c.addresses = append(c.addresses, lines.Text())
	}
	if len(c.addresses) < n {
		return nil, errors.Join(fmt.Errorf("the %s did not start", args[0]), c.stop())
	}
	return c, nil
}

// stop ends the child and waits for it.
func (c *child) stop() error {
	_ = c.stdin.Close() // the child reads nothing but the end
	return c.cmd.Wait()
}

// post asks the child at the path, for which it has no answer but yes or no.
func (c *child) post(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, headersLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.addresses[0]+path, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	return nil
}

// serveUntilEOF serves each handler on a port of its own, prints their addresses one a line and returns at the end of the
// standard input, which comes when the parent closes it or is gone.
func serveUntilEOF(handlers ...http.Handler) error {
	ended := make(chan error, len(handlers)+1)
	var addresses strings.Builder
	for _, h := range handlers {
		l, err := listen()
		if err != nil {
			return err
		}
		fmt.Fprintln(&addresses, l.Addr())
		go func() { ended <- serve(l, h) }()
	}
	if _, err := os.Stdout.WriteString(addresses.String()); err != nil {
		return err
	}
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	return <-ended
}

// runChild runs the role that the arguments name. It reports false where they name none.
func runChild(args []string) (bool, error) {
	if len(args) == 0 {
		return false, nil
	}
	switch args[0] {
	case roleTargets:
		targets, err := strconv.Atoi(args[1])
		if err != nil {
			return true, err
		}
		series, err := strconv.Atoi(args[2])
		if err != nil {
			return true, err
		}
		return true, serveTargets(targets, series)
	case roleSink:
		return true, serveSink()
	case roleExporter:
		return true, measureExporter(args[1])
	}
	return false, nil
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
