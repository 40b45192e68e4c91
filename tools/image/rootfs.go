// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"debug/elf"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	configPath       = "etc/otelcol-runner/collector.yaml"
	certificatesPath = "etc/ssl/certs/ca-certificates.crt" // where Go's crypto/x509 looks first

	// dataPath is the folder in which the collector keeps its log, a volume.
	dataPath = "var/lib/otelcol-runner"
	// legacyName is what deployments of the predecessor call the collector: `otelcol-kubiya --config=/etc/otel/config.yaml`.
	legacyName = "otelcol-kubiya"
	// userID is the user and the group that the programs run as.
	userID = 65532
)

// epoch is the time of everything in the image: no time is part of its content.
var epoch = time.Unix(0, 0).UTC()

// file is a regular file or a symbolic link of the image, owned by root.
type file struct {
	path    string // slash-separated, without a leading slash
	mode    fs.FileMode
	content []byte
	link    string // what a link refers to; empty: a regular file
}

// rootfs is the content of the image, sorted by path.
func rootfs(p *product, binary, root string, platform *v1.Platform) ([]file, error) {
	program, err := os.ReadFile(binary) //nolint:gosec // the caller says which binary
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; run `make build` first", err)
	}
	if err != nil {
		return nil, err
	}
	if err := checkBinary(program, platform); err != nil {
		return nil, fmt.Errorf("%s: %w", binary, err)
	}
	files := []file{
		{path: p.name, mode: 0o755, content: program},
		{path: certificatesPath, mode: 0o644, content: certificates()},
		{path: "etc/passwd", mode: 0o644, content: []byte("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")},
		{path: "etc/group", mode: 0o644, content: []byte("root:x:0:\nnonroot:x:65532:\n")},
	}
	if p.config != "" {
		config, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p.config))) //nolint:gosec // the caller says which repository
		if err != nil {
			return nil, fmt.Errorf("%w; --root must be the folder of the repository", err)
		}
		files = append(files, file{path: configPath, mode: 0o644, content: config})
	}
	if p.otherName != "" {
		files = append(files, file{path: p.otherName, mode: 0o777, link: p.name})
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return files, nil
}

// certificates is Mozilla's list of roots as the pinned golang.org/x/crypto
// module has it, in PEM. A root that Mozilla trusts only for certificates
// issued before a date is left out: PEM has no place for the date.
func certificates() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a bytes.Buffer takes everything
	}
	return out.Bytes()
}

// machines are the platforms that the image is made for.
var machines = map[string]elf.Machine{
	"linux/amd64": elf.EM_X86_64,
	"linux/arm64": elf.EM_AARCH64,
}

func parsePlatform(s string) (*v1.Platform, error) {
	if _, ok := machines[s]; !ok {
		return nil, fmt.Errorf("--platform: %q is none that the image is made for; use linux/amd64 or linux/arm64", s)
	}
	return v1.ParsePlatform(s)
}

// checkBinary makes sure that the binary runs in an image that has no loader
// and no libraries, on the platform that the image says.
func checkBinary(content []byte, platform *v1.Platform) error {
	exe, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("is no Linux executable (%w); build it with GOOS=linux", err)
	}
	if want := machines[platform.String()]; exe.Machine != want {
		return fmt.Errorf("is built for %s, the image is for %s (%s); build it with GOARCH=%s or change --platform",
			exe.Machine, platform, want, platform.Architecture)
	}
	for _, prog := range exe.Progs {
		if prog.Type == elf.PT_INTERP {
			return errors.New("is linked dynamically, and the image has no libraries; build it with CGO_ENABLED=0")
		}
	}
	return nil
}

// folders are the parents of the files, each once, parents first.
func folders(files []file) []string {
	var all []string
	for _, f := range files {
		for dir := path.Dir(f.path); dir != "."; dir = path.Dir(dir) {
			all = append(all, dir)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// writeRootfs writes the files below dest with their modes and times.
func writeRootfs(dest string, files []file) error {
	if entries, err := os.ReadDir(dest); err == nil && len(entries) > 0 {
		return fmt.Errorf("--dest: %s is not empty; give a new folder, so that nothing else gets into the image", dest)
	}
	dirs := append([]string{"."}, folders(files)...)
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(dest, filepath.FromSlash(dir)), 0o755); err != nil { //nolint:gosec // the image's folders are readable by its user
			return err
		}
	}
	for _, f := range files {
		name := filepath.Join(dest, filepath.FromSlash(f.path))
		if f.link != "" {
			// Its time is not set: an image that is built from the folder has another digest anyway.
			if err := os.Symlink(f.link, name); err != nil {
				return err
			}
			continue
		}
		if err := os.WriteFile(name, f.content, f.mode); err != nil {
			return err
		}
		// The umask may have taken bits away.
		if err := os.Chmod(name, f.mode); err != nil {
			return err
		}
		if err := os.Chtimes(name, epoch, epoch); err != nil {
			return err
		}
	}
	// Children first: writing into a folder sets its time.
	slices.Reverse(dirs)
	for _, dir := range dirs {
		name := filepath.Join(dest, filepath.FromSlash(dir))
		if err := os.Chmod(name, 0o755); err != nil { //nolint:gosec // the image's folders are readable by its user
			return err
		}
		if err := os.Chtimes(name, epoch, epoch); err != nil {
			return err
		}
	}
	return nil
}

func indexOf(files []file, path string) int {
	return slices.IndexFunc(files, func(f file) bool { return f.path == path })
}
