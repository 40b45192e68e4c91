// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	crane "github.com/google/go-containerregistry/cmd/crane/cmd"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain makes the test's binary crane, where it is called so: scripts run the real one, and none has to be installed.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "crane" {
		os.Exit(m.Run())
	}
	if err := crane.Root.Execute(); err != nil {
		os.Exit(1)
	}
}

// bench is a folder with the examples' scripts, two images in a registry, and an empty registry.
type bench struct {
	folder, tools  string
	source, mirror string
	digests        map[string]string // by repository and tag
}

func newBench(t *testing.T) *bench {
	t.Helper()
	serve := func() string {
		server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	b := &bench{folder: t.TempDir(), tools: t.TempDir(), source: serve(), mirror: serve(), digests: map[string]string{}}
	require.NoError(t, os.CopyFS(b.folder, os.DirFS(filepath.Join(root, "examples"))))

	var images []string
	for _, image := range []string{"vendor/one:1.0", "vendor/two:v2"} {
		index, err := random.Index(100, 1, 2) // two architectures
		require.NoError(t, err)
		digest, err := index.Digest()
		require.NoError(t, err)
		reference, err := name.ParseReference(b.source + "/" + image)
		require.NoError(t, err)
		require.NoError(t, remote.WriteIndex(reference, index))
		images = append(images, b.source+"/"+image)
		b.digests[image] = digest.String()
	}
	require.NoError(t, os.WriteFile(filepath.Join(b.folder, "private-registry", "images.txt"), []byte("# images\n"+strings.Join(images, "\n")+"\n"), 0o600))

	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(b.tools, "crane")))
	for tool, script := range map[string]string{
		"cosign": "#!/bin/sh\necho verified\n",
		"helm":   "#!/bin/sh\ntouch \"$6/runner-$4.tgz\"\n", // helm pull CHART --version VERSION --destination FOLDER
	} {
		require.NoError(t, os.WriteFile(filepath.Join(b.tools, tool), []byte(script), 0o700)) //nolint:gosec // to be run
	}
	return b
}

func (b *bench) run(t *testing.T, script string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(b.folder, script), args...) //nolint:gosec // a copy of an example
	cmd.Dir = b.folder
	cmd.Env = []string{"PATH=" + b.tools + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + b.folder}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// assertMirrored: the images are in the mirror, under their repository and with their digest.
func (b *bench) assertMirrored(t *testing.T, below string) {
	t.Helper()
	for image, digest := range b.digests {
		reference, err := name.ParseReference(fmt.Sprintf("%s/%s/%s", b.mirror, below, image))
		require.NoError(t, err)
		head, err := remote.Head(reference)
		require.NoError(t, err, image)
		assert.Equal(t, digest, head.Digest.String(), image)
	}
}

func TestMirrorScript(t *testing.T) {
	b := newBench(t)
	out, err := b.run(t, "private-registry/mirror.sh", b.mirror+"/copies/")
	require.NoError(t, err, out)
	b.assertMirrored(t, "copies")
}

func TestBundleAndLoad(t *testing.T) {
	b := newBench(t)
	out, err := b.run(t, "air-gapped/bundle.sh", "0.1.0", "bundle")
	require.NoError(t, err, out)
	assert.FileExists(t, filepath.Join(b.folder, "bundle", "runner-0.1.0.tgz"))
	out, err = b.run(t, "air-gapped/load.sh", "bundle", b.mirror+"/inside")
	require.NoError(t, err, out)
	b.assertMirrored(t, "inside")

	// What was changed on the way is not loaded.
	chart := filepath.Join(b.folder, "bundle", "runner-0.1.0.tgz")
	require.NoError(t, os.WriteFile(chart, []byte("changed"), 0o600))
	out, err = b.run(t, "air-gapped/load.sh", "bundle", b.mirror+"/inside")
	require.Error(t, err)
	assert.Contains(t, out, "runner-0.1.0.tgz: FAILED")

	// Nor what has another digest than it had outside.
	sums := filepath.Join(b.folder, "bundle", "digests.txt")
	text := strings.ReplaceAll(read(t, sums), b.digests["vendor/two:v2"], b.digests["vendor/one:1.0"])
	require.NoError(t, os.WriteFile(sums, []byte(text), 0o600))
	sum, err := exec.CommandContext(t.Context(), "bash", "-c", `cd "$0" && find . -type f ! -name SHA256SUMS -print0 | xargs -0 sha256sum > SHA256SUMS`, filepath.Dir(sums)).CombinedOutput() //nolint:gosec // a folder of this test
	require.NoError(t, err, string(sum))
	out, err = b.run(t, "air-gapped/load.sh", "bundle", b.mirror+"/inside")
	require.Error(t, err)
	assert.Contains(t, out, "do not use it")
}
