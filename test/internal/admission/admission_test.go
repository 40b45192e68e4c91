// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDeniedBy(t *testing.T) {
	const message = "pods \"web\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "
	right, other := errors.New(message+"[host-path] volume logs"), errors.New(message+"[host-ports] container web")

	require.NoError(t, deniedBy("host-path", []error{right}))
	require.EqualError(t, deniedBy("host-path", nil), "should be denied by host-path, and is admitted")
	require.ErrorIs(t, deniedBy("host-path", []error{right, other}), other)
	require.ErrorContains(t, deniedBy("host", []error{right}), "should be denied by host alone")
}

func TestBinariesSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("RUNNER_CLUSTER_DIR", dir)
	_, err := Binaries()
	require.ErrorContains(t, err, filepath.Join(dir, "bin")+": etcd is missing: run `make cluster` first")

	require.NoError(t, os.Mkdir(filepath.Join(dir, "bin"), 0o700))
	for _, name := range []string{"etcd", "kube-apiserver"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "bin", name), nil, 0o600))
	}
	bin, err := Binaries()
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, "bin"), bin)
}

func TestReadNamesTheDocument(t *testing.T) {
	file := filepath.Join(t.TempDir(), "objects.yaml")
	require.NoError(t, os.WriteFile(file, []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\nkind: [\n"), 0o600))
	_, err := read(file)
	require.ErrorContains(t, err, file+": document 2: ")
}
