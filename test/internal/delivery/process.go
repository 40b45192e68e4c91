// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// logTail is how many lines of a process's log an error shows.
const logTail = 15

// Process is a running child. Its log is appended to a file.
type Process struct {
	name    string
	cmd     *exec.Cmd
	logPath string
	exited  chan struct{} // closed when the process is gone; waitErr is valid after that
	waitErr error
}

// Start starts the binary with nothing in its environment but env. The kernel kills it should this process end first.
func Start(name, binary string, args, env []string, logPath string) (*Process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // a file of our own
	if err != nil {
		return nil, fmt.Errorf("the log of the %s: %w", name, err)
	}
	defer func() { _ = log.Close() }()                                                                           // the child has its own handle
	p := &Process{name: name, cmd: exec.Command(binary, args...), logPath: logPath, exited: make(chan struct{})} //nolint:gosec // the binary under test
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append([]string{}, env...)
	p.cmd.SysProcAttr = childAttributes()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("the %s does not start: %w", name, err)
	}
	go func() {
		p.waitErr = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// PID is the process's ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Running is the error of a process that has ended although nobody asked it to.
func (p *Process) Running() error {
	select {
	case <-p.exited:
		return p.ended("ended by itself")
	default:
		return nil
	}
}

// Kill ends the process as kill -9 does, and waits until it is gone.
func (p *Process) Kill() error {
	if err := p.Running(); err != nil {
		return err
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing the %s: %w", p.name, err)
	}
	<-p.exited
	return nil
}

// Discard kills a process that may have ended already.
func (p *Process) Discard() {
	_ = p.cmd.Process.Kill() // it may be gone
	<-p.exited
}

// Pause stops the process in its tracks until Resume: its connections stay open and nothing answers on them.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("%s to the %s: %w", s, p.name, err)
	}
	return nil
}

// Stop asks the process to end, as Kubernetes does. The error tells when it does not end well.
func (p *Process) Stop() error {
	if err := p.Running(); err != nil {
		return err
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.exited:
	case <-time.After(stopPatience):
		p.Discard()
		return p.ended(fmt.Sprintf("did not end within %s of SIGTERM and was killed", stopPatience))
	}
	if p.waitErr != nil {
		return p.ended("did not end cleanly")
	}
	return nil
}

// ended is an error with the end of the log.
func (p *Process) ended(how string) error {
	state := "exit status 0"
	if p.waitErr != nil {
		state = p.waitErr.Error()
	}
	log, err := os.ReadFile(p.logPath)
	if err != nil {
		log = []byte(err.Error())
	}
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	return fmt.Errorf("the %s %s (%s); the end of its log:\n%s", p.name, how, state,
		bytes.Join(lines[max(0, len(lines)-logTail):], []byte("\n")))
}

// Memory is the process's resident memory in bytes (VmRSS), which only Linux tells.
func (p *Process) Memory() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("the %s has no memory: it has ended", p.name)
}

// pollEvery is how often something is asked for that cannot be waited for.
const pollEvery = 20 * time.Millisecond

// Await asks until done says yes, ctx ends, or the processes that it depends on are not running any more.
func Await(ctx context.Context, what string, patience time.Duration, done func(context.Context) (bool, error), processes ...*Process) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		for _, p := range processes {
			if err := p.Running(); err != nil {
				return fmt.Errorf("waiting for %s: %w", what, err)
			}
		}
		finished, err := done(ctx)
		if finished {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waiting for %s: not within %s", what, patience), err)
		case <-time.After(pollEvery):
		}
	}
}
