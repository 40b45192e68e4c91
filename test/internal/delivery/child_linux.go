// SPDX-License-Identifier: Apache-2.0

package delivery

import "syscall"

// childAttributes puts a child into a process group of its own, so that Ctrl-C reaches the test alone, and lets the
// kernel kill it should the test be killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
