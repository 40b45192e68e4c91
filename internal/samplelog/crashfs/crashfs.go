// SPDX-License-Identifier: Apache-2.0

// Package crashfs is a file system in memory for tests of the log: it crashes at the k-th operation that writes, loses or keeps what
// was not synced, and fails operations on demand. It stands on pebble's vfs.MemFS, which keeps what was synced apart from what
// was only written, in blocks of 4 KiB and by directory entry.
package crashfs

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// ErrCrashed is what all operations return after the crash.
var ErrCrashed = errors.New("crashed")

// FS is a file system that crashes once. The zero value is not usable: see New. It is safe for concurrent use.
type FS struct {
	mem *vfs.MemFS

	mu      sync.Mutex
	writes  int
	crashAt int // the number of the operation, from 1; 0: never
	rng     *rand.Rand
	after   *vfs.MemFS
	fail    func(op, name string) error
}

var _ samplelog.FS = (*FS)(nil)

// New returns an empty file system.
func New() *FS { return &FS{mem: vfs.NewCrashableMem()} }

// CrashAt makes the k-th operation that writes, from now on, the last: a write gets through in part. What survives of the unsynced
// blocks and directory entries is up to rng.
func (f *FS) CrashAt(k int, rng *rand.Rand) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes, f.crashAt, f.rng = 0, k, rng
}

// Writes returns how many operations that write there have been since CrashAt, or ever.
func (f *FS) Writes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// Crash crashes now, as a kill -9 (keepAll, the page cache stays) or a power failure does.
func (f *FS) Crash(rng *rand.Rand, keepAll bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rng = rng
	f.crash(keepAll)
}

// Fail makes operations return errors: fail is asked before each one that writes, and before each read of a file.
func (f *FS) Fail(fail func(op, name string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

// After returns what the next process finds, or nil before the crash.
func (f *FS) After() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.after == nil {
		return nil
	}
	return &FS{mem: f.after}
}

func (f *FS) crash(keepAll bool) {
	if f.after != nil {
		return
	}
	percent := 100
	if !keepAll {
		percent = []int{0, 0, 25, 50, 75, 100}[f.rng.IntN(6)]
	}
	f.after = f.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: f.rng})
}

// write runs an operation that writes. partly is called instead when it is the last.
func (f *FS) write(op, name string, do func() error, partly func()) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.after != nil {
		return ErrCrashed
	}
	if f.fail != nil {
		if err := f.fail(op, name); err != nil {
			return err
		}
	}
	f.writes++
	if f.writes != f.crashAt {
		return do()
	}
	if partly != nil {
		partly()
	}
	f.crash(false)
	return ErrCrashed
}

func (f *FS) failed(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil {
		return nil
	}
	return f.fail(op, name)
}

func (f *FS) crashed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.after != nil {
		return ErrCrashed
	}
	return nil
}

// MkdirAll implements samplelog.FS.
func (f *FS) MkdirAll(dir string) error {
	return f.write("mkdir", dir, func() error {
		if err := f.mem.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		// The folder is given by whoever mounts it: it does not vanish in a crash.
		for d := dir; d != "." && d != "/" && d != ""; d = f.mem.PathDir(d) {
			if err := syncDir(f.mem, f.mem.PathDir(d)); err != nil {
				return err
			}
		}
		return nil
	}, nil)
}

// List implements samplelog.FS.
func (f *FS) List(dir string) ([]string, error) {
	if err := f.crashed(); err != nil {
		return nil, err
	}
	return f.mem.List(dir)
}

// Create implements samplelog.FS.
func (f *FS) Create(name string) (samplelog.File, error) {
	var file vfs.File
	err := f.write("create", name, func() (err error) {
		file, err = f.mem.Create(name, vfs.WriteCategoryUnspecified)
		return err
	}, nil)
	return &handle{f, name, file}, err
}

// Open implements samplelog.FS.
func (f *FS) Open(name string) (samplelog.File, error) {
	if err := f.crashed(); err != nil {
		return nil, err
	}
	file, err := f.mem.Open(name)
	if err != nil {
		return nil, err
	}
	return &handle{f, name, file}, nil
}

// OpenReadWrite implements samplelog.FS.
func (f *FS) OpenReadWrite(name string) (samplelog.File, error) {
	var file vfs.File
	err := f.write("open", name, func() (err error) {
		if file, err = f.mem.OpenReadWrite(name, vfs.WriteCategoryUnspecified); errors.Is(err, fs.ErrNotExist) {
			file, err = f.mem.Create(name, vfs.WriteCategoryUnspecified)
		}
		return err
	}, nil)
	return &handle{f, name, file}, err
}

// Rename implements samplelog.FS.
func (f *FS) Rename(from, to string) error {
	return f.write("rename", from, func() error { return f.mem.Rename(from, to) }, nil)
}

// Remove implements samplelog.FS.
func (f *FS) Remove(name string) error {
	return f.write("remove", name, func() error { return f.mem.Remove(name) }, nil)
}

// SyncDir implements samplelog.FS.
func (f *FS) SyncDir(dir string) error {
	return f.write("syncdir", dir, func() error { return syncDir(f.mem, dir) }, nil)
}

func syncDir(mem *vfs.MemFS, dir string) error {
	d, err := mem.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Lock implements samplelog.FS. A process that crashed has no lock any more.
func (f *FS) Lock(name string) (io.Closer, error) {
	if err := f.crashed(); err != nil {
		return nil, err
	}
	lock, err := f.mem.Lock(name)
	if err != nil {
		return nil, samplelog.ErrLocked // the only error that there is
	}
	return lock, nil
}

// Free implements samplelog.FS.
func (f *FS) Free(string) (uint64, error) { return 1 << 30, nil }

type handle struct {
	fs   *FS
	name string
	vfs.File
}

// Write implements samplelog.File.
func (h *handle) Write(p []byte) (n int, err error) {
	err = h.fs.write("write", h.name, func() error {
		n, err = h.File.Write(p)
		return err
	}, func() { _, _ = h.File.Write(p[:h.fs.rng.IntN(len(p)+1)]) })
	return n, err
}

// WriteAt implements samplelog.File.
func (h *handle) WriteAt(p []byte, at int64) (n int, err error) {
	err = h.fs.write("writeat", h.name, func() error {
		n, err = h.File.WriteAt(p, at)
		return err
	}, func() { _, _ = h.File.WriteAt(p[:h.fs.rng.IntN(len(p)+1)], at) })
	return n, err
}

// ReadAt implements samplelog.File.
func (h *handle) ReadAt(p []byte, at int64) (int, error) {
	if err := h.fs.crashed(); err != nil {
		return 0, err
	}
	if err := h.fs.failed("read", h.name); err != nil {
		return 0, err
	}
	return h.File.ReadAt(p, at)
}

// Sync implements samplelog.File.
func (h *handle) Sync() error { return h.fs.write("sync", h.name, h.File.Sync, nil) }

// Size implements samplelog.File.
func (h *handle) Size() (int64, error) {
	if err := h.fs.crashed(); err != nil {
		return 0, err
	}
	info, err := h.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
