// SPDX-License-Identifier: Apache-2.0

package demo

import "syscall"

// childAttributes puts the collector into a process group of its own, so that Ctrl-C reaches runnerctl alone, which
// then stops the collector in order; and lets the kernel end it should runnerctl be killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
