// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// insideCommand is the first argument of this program within its namespaces.
const insideCommand = "inside"

// stopPatience is how long the rows may take to end when the program is interrupted.
const stopPatience = 30 * time.Second

// enter runs this program again, in namespaces of its own: what it mounts, and on which ports it listens, is seen by nobody else, and
// is gone when it ends, however it ends.
func enter(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	self, err := os.Executable()
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "faults:", err) // progress only
		return 1
	}
	cmd := exec.CommandContext(ctx, self, append([]string{insideCommand}, args...)...) //nolint:gosec // this program
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopPatience
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return max(1, exit.ExitCode())
	case errors.Is(err, os.ErrPermission):
		_, _ = fmt.Fprintf(stderr, "faults: this system does not let a user make namespaces: run it as root (%v)\n", err) // progress only
		return 1
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "faults:", err) // progress only
		return 1
	}
	return 0
}

// furnish prepares the namespaces: mounts stay in them, the loopback interface works, and names are looked up at 127.0.0.1.
func furnish(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keeping mounts private: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("starting the loopback interface: %w", err)
	}
	conf := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver 127.0.0.1\noptions attempts:1 timeout:1\n"), 0o600); err != nil {
		return err
	}
	if err := unix.Mount(conf, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting /etc/resolv.conf: %w", err)
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written to it
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// mountTmpfs mounts a tmpfs of that many bytes on a folder, and returns a function that changes its size.
func mountTmpfs(dir string, bytes int64) (resize func(bytes int64) error, unmount func() error, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, nil, err
	}
	mount := func(flags uintptr, bytes int64) error {
		return unix.Mount("tmpfs", dir, "tmpfs", flags, fmt.Sprintf("size=%d", bytes))
	}
	if err := mount(0, bytes); err != nil {
		return nil, nil, fmt.Errorf("mounting a tmpfs: %w", err)
	}
	return func(bytes int64) error { return mount(unix.MS_REMOUNT, bytes) },
		func() error { return unix.Unmount(dir, unix.MNT_DETACH) }, nil
}

// mountReadOnly makes a folder read-only, for root too.
func mountReadOnly(dir string) (unmount func() error, err error) {
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return nil, fmt.Errorf("mounting a folder on itself: %w", err)
	}
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return nil, fmt.Errorf("mounting a folder read-only: %w", err)
	}
	return func() error { return unix.Unmount(dir, unix.MNT_DETACH) }, nil
}
