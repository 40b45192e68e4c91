// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package samplelog

import (
	"errors"
	"io"
)

// Lock implements FS. Only unix has it.
func (Disk) Lock(string) (io.Closer, error) { return nil, errors.ErrUnsupported }

// Free implements FS. Only unix has it.
func (Disk) Free(string) (uint64, error) { return 0, errors.ErrUnsupported }

func isDiskFull(error) bool { return false }
