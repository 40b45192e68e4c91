// SPDX-License-Identifier: Apache-2.0

// Command image makes the container images of otelcol-runner and of runnerctl
// without Docker: nothing but the binary, the collector's reference
// configuration, a user and the CA certificates, run as uid 65532. The same
// inputs give the same digest, on any machine and at any time.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"
)

func main() {
	if err := newCmdRoot(os.Stdout, os.Stderr).Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func newCmdRoot(out, progress io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use:           "image",
		Short:         "Make the container images without Docker",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.SetOut(out)
	cmd.SetErr(progress)
	cmd.AddCommand(newCmdBuild(out, progress), newCmdRootfs(progress))
	return cmd
}

// sources say where the image's content comes from.
type sources struct {
	image    string // the name of the product
	root     string // of the repository
	binary   string
	platform string
}

func (s *sources) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.image, "image", products[0].name, "which image: otelcol-runner or runnerctl")
	cmd.Flags().StringVar(&s.root, "root", ".", "folder of the repository: builder-config.yaml and configs/collector.yaml are read from it")
	cmd.Flags().StringVar(&s.binary, "binary", "", "the program, linked statically for the platform (default <root>/bin/<image>)")
	cmd.Flags().StringVar(&s.platform, "platform", "linux/amd64", "linux/amd64 or linux/arm64")
}

// load reads and checks everything that goes into the image.
func (s *sources) load() (*product, *v1.Platform, []file, error) {
	p, err := findProduct(s.image)
	if err != nil {
		return nil, nil, nil, err
	}
	platform, err := parsePlatform(s.platform)
	if err != nil {
		return nil, nil, nil, err
	}
	binary := s.binary
	if binary == "" {
		binary = filepath.Join(s.root, "bin", p.name)
	}
	files, err := rootfs(p, binary, s.root, platform)
	return p, platform, files, err
}

// result is the last line that build prints.
type result struct {
	Digest      string `json:"digest"`       // of the manifest
	Platform    string `json:"platform"`     // for example linux/amd64
	Version     string `json:"version"`      // of the distribution
	Files       int    `json:"files"`        // files in the image, links among them
	BinaryBytes int64  `json:"binary_bytes"` // the program in the image
	LayerBytes  int64  `json:"layer_bytes"`  // what a node pulls
	Archive     string `json:"archive"`      // for docker load
	Layout      string `json:"layout"`       // OCI image layout
}

func newCmdBuild(out, progress io.Writer) *cobra.Command {
	var src sources
	var dist string
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Write the image as an archive for `docker load` and as an OCI image layout",
		Long: `Write <dist>/otelcol-runner.tar (for docker load, podman load, kind load image-archive) and <dist>/image/
(an OCI image layout, for example for crane push or skopeo copy); of runnerctl, <dist>/runnerctl.tar and
<dist>/runnerctl-image/. The last line on standard output is one JSON object with the digest.`,
		Example: "  image build --root . --platform linux/arm64 --dist dist\n  image build --root . --image runnerctl",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if dist == "" {
				dist = filepath.Join(src.root, "dist")
			}
			res, err := build(&src, dist, progress)
			if err != nil {
				return err
			}
			return json.NewEncoder(out).Encode(res)
		},
	}
	src.flags(cmd)
	cmd.Flags().StringVar(&dist, "dist", "", "folder that the image is written to (default <root>/dist)")
	return cmd
}

func build(src *sources, dist string, progress io.Writer) (*result, error) {
	p, platform, files, err := src.load()
	if err != nil {
		return nil, err
	}
	version, err := distributionVersion(filepath.Join(src.root, "builder-config.yaml"))
	if err != nil {
		return nil, err
	}
	img, err := newImage(p, files, platform, version)
	if err != nil {
		return nil, err
	}
	res := &result{
		Platform: platform.String(), Version: version, Files: len(files), BinaryBytes: int64(len(files[indexOf(files, p.name)].content)),
		Archive: filepath.Join(dist, p.name+".tar"), Layout: filepath.Join(dist, p.layout),
	}
	if res.Digest, res.LayerBytes, err = describe(img); err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintln(progress, "writing", res.Archive)
	if err := writeArchive(res.Archive, p.name, version, img); err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintln(progress, "writing", res.Layout)
	return res, writeLayout(res.Layout, platform, img)
}

func newCmdRootfs(progress io.Writer) *cobra.Command {
	var src sources
	var dest string
	cmd := &cobra.Command{
		Use:     "rootfs",
		Short:   "Write the image's files into a folder, for the Dockerfile",
		Example: "  image rootfs --root . --dest /rootfs",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, _, files, err := src.load()
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintln(progress, "writing", dest)
			return writeRootfs(dest, files)
		},
	}
	src.flags(cmd)
	cmd.Flags().StringVar(&dest, "dest", "", "folder to write to; must be new or empty")
	_ = cmd.MarkFlagRequired("dest") // the flag is defined the line above
	return cmd
}
