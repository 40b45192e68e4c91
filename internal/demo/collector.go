// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

const (
	// stopPatience is how long the collector may take to stop before it is killed; its own exporters give up sooner.
	stopPatience = 20 * time.Second
	logTail      = 15
)

// collector is the child process.
type collector struct {
	cmd     *exec.Cmd
	log     *tail
	usage   *process.Process
	started time.Time
	// exited is closed when the process is gone; waitErr is valid after that.
	exited  chan struct{}
	waitErr error
}

// usage is what the operating system says about the collector. A zero usage means that it does not say.
type usage struct {
	CPU time.Duration
	RSS uint64 // bytes
}

// startCollector starts binary with the configurations in this order. Its log goes to logFile and, redacted,
// to the tail that errors show.
func startCollector(binary string, configs []string, env []string, logFile string) (*collector, error) {
	file, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // the path is our own work folder's
	if err != nil {
		return nil, fmt.Errorf("the collector's log cannot be written: %w", err)
	}
	var args []string
	for _, c := range configs {
		args = append(args, "--config=file:"+c)
	}
	c := &collector{
		cmd: exec.Command(binary, args...), //nolint:gosec // running the binary that the user named is the point
		log: &tail{}, exited: make(chan struct{}), started: time.Now(),
	}
	c.cmd.Env = env
	c.cmd.SysProcAttr = childAttributes()
	output, err := c.cmd.StderrPipe()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("the collector %q does not start: %w", binary, err), file.Close())
	}
	// Without the process's numbers the demo goes on: it shows no CPU and memory then.
	c.usage, _ = process.NewProcess(int32(c.cmd.Process.Pid)) //nolint:gosec // a process id fits
	go func() {
		defer close(c.exited)
		copyErr := c.log.read(output, file)
		c.waitErr = errors.Join(c.cmd.Wait(), copyErr, file.Close())
	}()
	return c, nil
}

// use reads the collector's CPU time and memory.
func (c *collector) use() usage {
	if c.usage == nil {
		return usage{}
	}
	times, err := c.usage.Times()
	if err != nil {
		return usage{}
	}
	u := usage{CPU: time.Duration((times.User + times.System) * float64(time.Second))}
	if memory, err := c.usage.MemoryInfo(); err == nil {
		u.RSS = memory.RSS
	}
	return u
}

// stop asks the collector to end and waits until it has. The error tells when it did not end well.
func (c *collector) stop() error {
	select {
	case <-c.exited:
		return c.early()
	default:
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(fmt.Errorf("asking the collector to end: %w", err), c.kill())
	}
	select {
	case <-c.exited:
	case <-time.After(stopPatience):
		return errors.Join(fmt.Errorf("the collector did not end within %s of SIGTERM and was killed; its last log lines:\n%s", stopPatience, c.log), c.kill())
	}
	if c.waitErr != nil {
		return fmt.Errorf("the collector ended with %w; its last log lines:\n%s", c.waitErr, c.log)
	}
	return nil
}

func (c *collector) kill() error {
	err := c.cmd.Process.Kill()
	<-c.exited
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// early is the error of a collector that ended although nobody asked it to.
func (c *collector) early() error {
	state := "exit code 0"
	if c.waitErr != nil {
		state = c.waitErr.Error()
	}
	return fmt.Errorf("the collector ended by itself (%s); its last log lines:\n%s", state, c.log)
}

// tail keeps the last lines of a log, without secrets.
type tail struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (t *tail) read(from io.Reader, file io.Writer) error {
	reader := bufio.NewReader(from)
	for {
		line, err := reader.ReadString('\n')
		if line != "" {
			line = redact(strings.TrimRight(line, "\r\n"))
			t.add(line)
			if _, writeErr := fmt.Fprintln(file, line); writeErr != nil {
				// The pipe has to be drained all the same, or the collector would block on its log.
				_, copyErr := io.Copy(io.Discard, reader)
				return errors.Join(writeErr, copyErr)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	if len(t.lines) > logTail {
		t.lines = t.lines[1:]
	}
}

// String is the tail, indented; a log without a line says so.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 0 {
		return "  (it logged nothing)"
	}
	return "  " + strings.Join(t.lines, "\n  ")
}

// redact hides what looks like a credential in a log line.
func redact(line string) string {
	for _, p := range secretPatterns {
		line = p.ReplaceAllString(line, "${1}[redacted]${2}")
	}
	return line
}

// secretPatterns keep their first and second group and lose the rest. They are wide: a log line with too much hidden is still
// of use, one with a credential in it is not.
var secretPatterns = []*regexp.Regexp{
	regexp.MustCompile(`(?i)((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}`),
	regexp.MustCompile(`()eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`),
	regexp.MustCompile(`(://[^/\s:@]+:)[^/\s@]+(@)`),
	regexp.MustCompile(`(?i)((?:password|passwd|secret|token|api[_-]?key|access[_-]?key)["']?\s*[:=]\s*["']?)[^\s"',}]+`),
}
