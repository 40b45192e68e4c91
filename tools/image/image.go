// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"go.yaml.in/yaml/v3"
)

// newImage puts the files into one layer on an empty base.
func newImage(p *product, files []file, platform *v1.Platform, version string) (v1.Image, error) {
	content, err := layerTar(files, p.data)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}

	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{
		Created: v1.Time{Time: epoch}, OS: platform.OS, Architecture: platform.Architecture,
		Config: p.imageConfig(version), RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(img, mutate.Addendum{
		Layer: layer, MediaType: types.OCILayer,
		History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "otelcol-runner tools/image"},
	})
}

// layerTar is the layer before compression: folders and files in order, owned
// by root, at the epoch; and the folder data, if there is one, which is the
// user's.
func layerTar(files []file, data string) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	inside := files[:len(files):len(files)]
	if data != "" {
		inside = append(inside, file{path: data + "/x"})
	}
	for _, dir := range folders(inside) {
		header := &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: epoch, Format: tar.FormatUSTAR}
		if dir == data {
			header.Uid, header.Gid = userID, userID
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: f.path, Mode: int64(f.mode), Size: int64(len(f.content)), ModTime: epoch, Format: tar.FormatUSTAR,
		}
		if f.link != "" {
			header.Typeflag, header.Linkname = tar.TypeSymlink, f.link
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), w.Close()
}

// describe returns the manifest's digest and the size of the layers in bytes.
func describe(img v1.Image) (digest string, layerBytes int64, err error) {
	hash, err := img.Digest()
	if err != nil {
		return "", 0, err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return "", 0, err
	}
	for _, layer := range manifest.Layers {
		layerBytes += layer.Size
	}
	return hash.String(), layerBytes, nil
}

func writeArchive(path, image, version string, img v1.Image) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	tag, err := name.NewTag(image + ":" + version)
	if err != nil {
		return fmt.Errorf("builder-config.yaml: dist.version %q is no image tag: %w", version, err)
	}
	return tarball.WriteToFile(path, tag, img)
}

// writeLayout replaces an earlier layout at path, and nothing else.
func writeLayout(path string, platform *v1.Platform, img v1.Image) error {
	if _, err := os.Stat(path); err == nil {
		if _, err := layout.FromPath(path); err != nil {
			return fmt.Errorf("%s exists and is no OCI image layout; move it away: %w", path, err)
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := layout.Write(path, empty.Index)
	if err != nil {
		return err
	}
	return out.AppendImage(img, layout.WithPlatform(*platform))
}

// distributionVersion reads dist.version of the OCB manifest, so that binary and
// image name the same one.
func distributionVersion(path string) (string, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the caller says which repository
	if err != nil {
		return "", fmt.Errorf("%w; --root must be the folder of the repository", err)
	}
	var manifest struct {
		Dist struct {
			Version string `yaml:"version"`
		} `yaml:"dist"`
	}
	if err := yaml.Unmarshal(content, &manifest); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if manifest.Dist.Version == "" {
		return "", fmt.Errorf("%s: dist.version is missing; the image's version label comes from it", path)
	}
	return manifest.Dist.Version, nil
}
