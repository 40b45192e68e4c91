// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package demo

import "syscall"

// childAttributes leaves the collector as the system starts it: only Linux can tie its life to this process.
func childAttributes() *syscall.SysProcAttr { return nil }
