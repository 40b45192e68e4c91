// SPDX-License-Identifier: Apache-2.0

package samplelog

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// FS is what the log asks of a file system. Disk is the real one; tests put one in memory that crashes at the k-th write.
// Errors satisfy errors.Is with fs.ErrNotExist where a file is missing.
type FS interface {
	// MkdirAll creates a folder and what is missing above it.
	MkdirAll(dir string) error
	// List returns the names in a folder, in any order.
	List(dir string) ([]string, error)
	// Create creates a file for writing, empty.
	Create(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// OpenReadWrite opens a file for both, and creates it where it is missing.
	OpenReadWrite(name string) (File, error)
	// Rename moves a file.
	Rename(from, to string) error
	// Remove deletes a file.
	Remove(name string) error
	// SyncDir makes creations, renames and removals in a folder durable.
	SyncDir(dir string) error
	// Lock takes the lock file of that name for this process, or fails at once with ErrLocked.
	Lock(name string) (io.Closer, error)
	// Free returns the bytes that can still be written in the file system of a folder.
	Free(dir string) (uint64, error)
}

// File is an open file.
type File interface {
	io.Writer
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes what was written durable.
	Sync() error
	// Size returns the length in bytes.
	Size() (int64, error)
}

// ErrLocked says that another process has the folder.
var ErrLocked = errors.New("locked by another process")

// Disk is the file system of the machine.
type Disk struct{}

var _ FS = Disk{}

// MkdirAll implements FS. Only the user of the process can read the folder: samples are a customer's data.
func (Disk) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o700) }

// List implements FS.
func (Disk) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// Create implements FS.
func (Disk) Create(name string) (File, error) {
	return open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

// Open implements FS.
func (Disk) Open(name string) (File, error) { return open(name, os.O_RDONLY) }

// OpenReadWrite implements FS.
func (Disk) OpenReadWrite(name string) (File, error) { return open(name, os.O_RDWR|os.O_CREATE) }

// Rename implements FS.
func (Disk) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (Disk) Remove(name string) error { return os.Remove(name) }

// SyncDir implements FS.
func (Disk) SyncDir(dir string) error {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

type diskFile struct{ *os.File }

func open(name string, flag int) (File, error) {
	f, err := os.OpenFile(filepath.Clean(name), flag, 0o600)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

// Size implements File.
func (f diskFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
