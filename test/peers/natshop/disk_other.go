// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "errors"

func mountDisk(string) (unmount func(), err error) {
	return nil, errors.New("a disk to fill needs Linux")
}
