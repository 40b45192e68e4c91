// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const configText = "# the configuration of this test\n"

// newRepository is a folder with what the image is made from. The binary is a
// real one: a Go program, built for the platform.
func newRepository(t *testing.T, goarch string, mtime time.Time) string {
	t.Helper()
	root := t.TempDir()
	for path, content := range map[string]string{
		"builder-config.yaml":    "dist:\n  version: 1.2.3\n",
		"configs/collector.yaml": configText,
		"src/main.go":            "package main\n\nfunc main() { println(\"I am the collector\") }\n",
		"src/go.mod":             "module collector\n",
	} {
		name := filepath.Join(root, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o750))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
		require.NoError(t, os.Chtimes(name, mtime, mtime))
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", "../bin/otelcol-runner", ".")
	cmd.Dir = filepath.Join(root, "src")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+goarch, "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.Chtimes(filepath.Join(root, "bin", "otelcol-runner"), mtime, mtime))
	return root
}

// run is the command as it is called, with its last line decoded.
func run(args ...string) (*result, error) {
	var out bytes.Buffer
	cmd := newCmdRoot(&out, io.Discard)
	cmd.SetArgs(args)
	if err := cmd.Execute(); err != nil {
		return nil, err
	}
	if out.Len() == 0 {
		return nil, nil
	}
	var res result
	return &res, json.Unmarshal(out.Bytes(), &res)
}

func TestImage(t *testing.T) {
	root := newRepository(t, "amd64", time.Now())
	res, err := run("build", "--root", root)
	require.NoError(t, err)
	assert.Equal(t, "linux/amd64", res.Platform)
	assert.Equal(t, "1.2.3", res.Version)
	assert.Equal(t, 6, res.Files)
	info, err := os.Stat(filepath.Join(root, "bin", "otelcol-runner"))
	require.NoError(t, err)
	assert.Equal(t, info.Size(), res.BinaryBytes)

	archive, err := tarball.ImageFromPath(res.Archive, nil)
	require.NoError(t, err)
	require.NoError(t, validate.Image(archive))
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(res.Archive) })
	require.NoError(t, err)
	assert.Equal(t, []string{"otelcol-runner:1.2.3"}, manifest[0].RepoTags)

	index, err := layout.ImageIndexFromPath(res.Layout)
	require.NoError(t, err)
	require.NoError(t, validate.Index(index))
	indexManifest, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, indexManifest.Manifests, 1)
	assert.Equal(t, res.Digest, indexManifest.Manifests[0].Digest.String())
	assert.Equal(t, &v1.Platform{OS: "linux", Architecture: "amd64"}, indexManifest.Manifests[0].Platform)
	img, err := index.Image(indexManifest.Manifests[0].Digest)
	require.NoError(t, err)

	for name, img := range map[string]v1.Image{"archive": archive, "layout": img} {
		t.Run(name, func(t *testing.T) {
			config, err := img.ConfigFile()
			require.NoError(t, err)
			assert.Equal(t, products[0].imageConfig("1.2.3"), config.Config)
			assert.Equal(t, "65532:65532", config.Config.User)
			assert.Equal(t, []string{"/otelcol-runner"}, config.Config.Entrypoint)
			assert.Equal(t, []string{"--config=/etc/otelcol-runner/collector.yaml"}, config.Config.Cmd)
			assert.Equal(t, []string{"PATH=/", "GOGC=50"}, config.Config.Env)
			assert.Equal(t, "linux/amd64", config.Platform().String())
			assert.True(t, config.Created.Equal(epoch))

			headers, contents := readLayer(t, img)
			assert.Equal(t, []string{
				"drwxr-xr-x etc/", "drwxr-xr-x etc/otelcol-runner/", "drwxr-xr-x etc/ssl/", "drwxr-xr-x etc/ssl/certs/",
				"drwxr-xr-x var/", "drwxr-xr-x var/lib/", "drwxr-xr-x var/lib/otelcol-runner/",
				"-rw-r--r-- etc/group", "-rw-r--r-- etc/otelcol-runner/collector.yaml", "-rw-r--r-- etc/passwd",
				"-rw-r--r-- etc/ssl/certs/ca-certificates.crt", "Lrwxrwxrwx otelcol-kubiya -> otelcol-runner", "-rwxr-xr-x otelcol-runner",
			}, headers)
			assert.Equal(t, configText, contents[configPath])
			assert.Contains(t, contents["etc/passwd"], "nonroot:x:65532:65532:")
			binary, err := os.ReadFile(filepath.Join(root, "bin", "otelcol-runner")) //nolint:gosec // a folder of this test
			require.NoError(t, err)
			assert.True(t, bytes.Equal(binary, []byte(contents["otelcol-runner"])))
			checkCertificates(t, contents[certificatesPath])
		})
	}
}

// readLayer returns the entries of the one layer in order, checked for owner
// and time, and the files' contents.
func readLayer(t *testing.T, img v1.Image) (headers []string, contents map[string]string) {
	t.Helper()
	layers, err := img.Layers()
	require.NoError(t, err)
	require.Len(t, layers, 1)
	layer, err := layers[0].Uncompressed()
	require.NoError(t, err)
	contents = map[string]string{}
	for r := tar.NewReader(layer); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return headers, contents
		}
		require.NoError(t, err)
		entry := fmt.Sprint(h.FileInfo().Mode(), " ", h.Name)
		if h.Typeflag == tar.TypeSymlink {
			entry += " -> " + h.Linkname
		}
		headers = append(headers, entry)
		assert.True(t, h.ModTime.Equal(epoch), "%s is of %s", h.Name, h.ModTime)
		owner := 0
		if h.Name == dataPath+"/" {
			owner = userID
		}
		assert.Equal(t, [2]int{owner, owner}, [2]int{h.Uid, h.Gid}, h.Name)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		contents[h.Name] = string(content)
	}
}

func checkCertificates(t *testing.T, bundlePEM string) {
	t.Helper()
	subjects := map[string]bool{}
	for rest := []byte(bundlePEM); len(rest) > 0; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		require.NotNil(t, block, "the bundle has text that is no certificate")
		cert, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		assert.True(t, cert.IsCA, cert.Subject)
		subjects[cert.Subject.CommonName] = true
	}
	assert.Greater(t, len(subjects), 100)
	// The root that Azure's endpoints stand on.
	assert.Contains(t, subjects, "DigiCert Global Root G2")
}

// TestRunnerctl: the second image has nothing but the program and what it needs to ask others.
func TestRunnerctl(t *testing.T) {
	root := newRepository(t, "amd64", time.Now())
	binary := filepath.Join(root, "bin", "runnerctl")
	require.NoError(t, os.Rename(filepath.Join(root, "bin", "otelcol-runner"), binary))
	res, err := run("build", "--image", "runnerctl", "--root", root)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(root, "dist", "runnerctl.tar"), res.Archive)
	assert.Equal(t, filepath.Join(root, "dist", "runnerctl-image"), res.Layout)
	again, err := run("build", "--image", "runnerctl", "--root", root, "--dist", t.TempDir())
	require.NoError(t, err)
	assert.Equal(t, res.Digest, again.Digest)

	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(res.Archive) })
	require.NoError(t, err)
	assert.Equal(t, []string{"runnerctl:1.2.3"}, manifest[0].RepoTags)
	img, err := tarball.ImageFromPath(res.Archive, nil)
	require.NoError(t, err)
	require.NoError(t, validate.Image(img))
	config, err := img.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, products[1].imageConfig("1.2.3"), config.Config)
	assert.Equal(t, "65532:65532", config.Config.User)
	assert.Equal(t, []string{"/runnerctl"}, config.Config.Entrypoint)
	headers, contents := readLayer(t, img)
	assert.Equal(t, []string{
		"drwxr-xr-x etc/", "drwxr-xr-x etc/ssl/", "drwxr-xr-x etc/ssl/certs/",
		"-rw-r--r-- etc/group", "-rw-r--r-- etc/passwd", "-rw-r--r-- etc/ssl/certs/ca-certificates.crt", "-rwxr-xr-x runnerctl",
	}, headers)
	checkCertificates(t, contents[certificatesPath])
}

func TestSameInputSameDigest(t *testing.T) {
	var results []*result
	for i := range 2 {
		root := newRepository(t, "amd64", time.Unix(int64(1_000_000_000*(i+1)), 0))
		res, err := run("build", "--root", root, "--dist", filepath.Join(t.TempDir(), "elsewhere"))
		require.NoError(t, err)
		results = append(results, res)
	}
	assert.Equal(t, results[0].Digest, results[1].Digest)
	for _, path := range []func(*result) string{
		func(r *result) string { return r.Archive },
		func(r *result) string { return filepath.Join(r.Layout, "index.json") },
	} {
		first, err := os.ReadFile(path(results[0]))
		require.NoError(t, err)
		second, err := os.ReadFile(path(results[1]))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(first, second), path(results[0]))
	}
}

func TestOtherInputOtherDigest(t *testing.T) {
	root := newRepository(t, "amd64", time.Now())
	before, err := run("build", "--root", root)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, "configs", "collector.yaml"), []byte("other"), 0o600))
	after, err := run("build", "--root", root)
	require.NoError(t, err)
	assert.NotEqual(t, before.Digest, after.Digest)

	// The layout is the new image's alone.
	index, err := layout.ImageIndexFromPath(after.Layout)
	require.NoError(t, err)
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	assert.Len(t, manifest.Manifests, 1)
	blobs, err := os.ReadDir(filepath.Join(after.Layout, "blobs", "sha256"))
	require.NoError(t, err)
	assert.Len(t, blobs, 3, "manifest, config and layer")
}

func TestARM64(t *testing.T) {
	root := newRepository(t, "arm64", time.Now())
	res, err := run("build", "--root", root, "--platform", "linux/arm64")
	require.NoError(t, err)
	img, err := tarball.ImageFromPath(res.Archive, nil)
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, "linux/arm64", config.Platform().String())
}

// TestRootfs: the Dockerfile's way gives the files of the image.
func TestRootfs(t *testing.T) {
	root := newRepository(t, "amd64", time.Now())
	res, err := run("build", "--root", root)
	require.NoError(t, err)
	img, err := tarball.ImageFromPath(res.Archive, nil)
	require.NoError(t, err)
	_, want := readLayer(t, img)
	for _, dir := range folders([]file{{path: dataPath + "/x"}}) {
		delete(want, dir+"/") // the Dockerfile makes it, for the collector's user
	}

	dest := filepath.Join(t.TempDir(), "rootfs")
	_, err = run("rootfs", "--root", root, "--dest", dest)
	require.NoError(t, err)
	require.NoError(t, filepath.WalkDir(dest, func(name string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		if d.Name() == legacyName {
			link, err := os.Readlink(name)
			require.NoError(t, err)
			assert.Equal(t, "otelcol-runner", link)
			out, err := exec.Command(name).CombinedOutput()
			require.NoError(t, err)
			assert.Equal(t, "I am the collector\n", string(out))
			delete(want, legacyName)
			return nil
		}
		info, err := d.Info()
		require.NoError(t, err)
		assert.True(t, info.ModTime().Equal(epoch), name)
		rel, err := filepath.Rel(dest, name)
		require.NoError(t, err)
		if d.IsDir() {
			assert.Equal(t, os.FileMode(0o755), info.Mode().Perm(), name)
			delete(want, filepath.ToSlash(rel)+"/")
			return nil
		}
		content, err := os.ReadFile(name) //nolint:gosec // a folder of this test
		require.NoError(t, err)
		assert.Equal(t, want[filepath.ToSlash(rel)], string(content), name)
		delete(want, filepath.ToSlash(rel))
		return nil
	}))
	assert.Empty(t, want, "in the image and not in the folder")

	_, err = run("rootfs", "--root", root, "--dest", dest)
	assert.EqualError(t, err, "--dest: "+dest+" is not empty; give a new folder, so that nothing else gets into the image")
}

func TestErrors(t *testing.T) {
	root := newRepository(t, "arm64", time.Now())
	empty := t.TempDir()
	text := filepath.Join(empty, "text")
	require.NoError(t, os.WriteFile(text, []byte("#!/bin/sh\n"), 0o600))
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"platform":        {[]string{"--platform", "windows/amd64"}, `--platform: "windows/amd64" is none that the image is made for; use linux/amd64 or linux/arm64`},
		"image":           {[]string{"--image", "grafana"}, `--image: "grafana" is none; use otelcol-runner or runnerctl`},
		"no binary":       {[]string{"--root", empty}, "open " + empty + "/bin/otelcol-runner: no such file or directory; run `make build` first"},
		"no executable":   {[]string{"--binary", text}, text + ": is no Linux executable (EOF); build it with GOOS=linux"},
		"another machine": {[]string{}, root + "/bin/otelcol-runner: is built for EM_AARCH64, the image is for linux/amd64 (EM_X86_64); build it with GOARCH=amd64 or change --platform"},
		"no repository": {
			[]string{"--root", empty, "--binary", root + "/bin/otelcol-runner", "--platform", "linux/arm64"},
			"open " + empty + "/configs/collector.yaml: no such file or directory; --root must be the folder of the repository",
		},
		"a folder of someone else's": {
			[]string{"--platform", "linux/arm64", "--dist", otherFolder(t)},
			"exists and is no OCI image layout; move it away",
		},
		"no version": {
			[]string{"--platform", "linux/arm64", "--root", withoutVersion(t, root)},
			"builder-config.yaml: dist.version is missing; the image's version label comes from it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := run(append([]string{"build", "--root", root}, tc.args...)...)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

// TestDynamicBinary uses a program of this machine that needs a loader.
func TestDynamicBinary(t *testing.T) {
	shell, err := filepath.EvalSymlinks("/bin/sh")
	require.NoError(t, err)
	content, err := os.ReadFile(shell)
	require.NoError(t, err)
	for platform := range machines {
		p, err := parsePlatform(platform)
		require.NoError(t, err)
		err = checkBinary(content, p)
		require.Error(t, err, platform)
		if !strings.Contains(err.Error(), "is built for") {
			assert.EqualError(t, err, "is linked dynamically, and the image has no libraries; build it with CGO_ENABLED=0")
			return
		}
	}
	t.Fatal("this machine is none of the platforms")
}

func otherFolder(t *testing.T) string {
	t.Helper()
	dist := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dist, "image", "holiday"), 0o750))
	return dist
}

func withoutVersion(t *testing.T, root string) string {
	t.Helper()
	other := t.TempDir()
	require.NoError(t, os.CopyFS(other, os.DirFS(root)))
	require.NoError(t, os.WriteFile(filepath.Join(other, "builder-config.yaml"), []byte("dist: {}\n"), 0o600))
	return other
}
