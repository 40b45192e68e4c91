// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package delivery

import "syscall"

// childAttributes leaves a child as the system starts it: only Linux can tie its life to this process.
func childAttributes() *syscall.SysProcAttr { return nil }
