// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"github.com/stretchr/testify/require"
)

func readFile(r *rig, path string) []byte {
	content, err := os.ReadFile(path) //nolint:gosec // a file of our own
	require.NoError(r, err)
	return content
}

func writeFile(r *rig, path, content string) {
	require.NoError(r, os.WriteFile(path, []byte(content), 0o600))
}

func mkdir(r *rig, path string) { require.NoError(r, os.MkdirAll(path, 0o750)) }

// fill writes a file until the disk is full.
func fill(r *rig, path string) {
	f, err := os.Create(path) //nolint:gosec // a file of our own
	require.NoError(r, err)
	block := make([]byte, 4<<10)
	for err == nil {
		_, err = f.Write(block)
	}
	require.NoError(r, f.Close())
}
