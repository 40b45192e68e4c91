// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// mountFailing mounts a folder at another place, through FUSE, so that operations on its files can fail.
func mountFailing(at, of string, f *failures) (unmount func() error, err error) {
	for _, dir := range []string{at, of} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, err
		}
	}
	root, err := fs.NewLoopbackRoot(of)
	if err != nil {
		return nil, err
	}
	loopback, ok := root.(*fs.LoopbackNode)
	if !ok {
		return nil, fmt.Errorf("the root of a loopback file system is a %T", root)
	}
	node := &failingNode{loopback, f}
	loopback.RootData.RootNode = node
	server, err := fs.Mount(at, node, &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "failing"}})
	if err != nil {
		return nil, fmt.Errorf("mounting a FUSE file system: %w", err)
	}
	return server.Unmount, nil
}

// failingNode is a file or a folder that hands everything on, unless it is to fail.
type failingNode struct {
	*fs.LoopbackNode
	failures *failures
}

// WrapChild implements fs.NodeWrapChilder.
func (n *failingNode) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	loopback, ok := ops.(*fs.LoopbackNode)
	if !ok {
		return ops
	}
	return &failingNode{loopback, n.failures}
}

func (n *failingNode) errno(op string) syscall.Errno {
	if n.failures.fails(op, filepath.Base(n.Path(n.Root()))) {
		return syscall.EIO
	}
	return 0
}

// Open implements fs.NodeOpener. Nothing is cached: each operation gets here.
func (n *failingNode) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.errno(opOpen); errno != 0 {
		return nil, 0, errno
	}
	h, _, errno := n.LoopbackNode.Open(ctx, flags)
	return h, fuse.FOPEN_DIRECT_IO, errno
}

// Create implements fs.NodeCreater.
func (n *failingNode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if n.failures.fails(opCreate, name) {
		return nil, nil, 0, syscall.EIO
	}
	inode, h, _, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	return inode, h, fuse.FOPEN_DIRECT_IO, errno
}

// Read implements fs.NodeReader.
func (n *failingNode) Read(ctx context.Context, h fs.FileHandle, to []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	if errno := n.errno(opRead); errno != 0 {
		return nil, errno
	}
	reader, ok := h.(fs.FileReader)
	if !ok {
		return nil, syscall.ENOTSUP
	}
	return reader.Read(ctx, to, offset)
}

// Write implements fs.NodeWriter.
func (n *failingNode) Write(ctx context.Context, h fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	if errno := n.errno(opWrite); errno != 0 {
		return 0, errno
	}
	writer, ok := h.(fs.FileWriter)
	if !ok {
		return 0, syscall.ENOTSUP
	}
	return writer.Write(ctx, data, offset)
}

// Fsync implements fs.NodeFsyncer.
func (n *failingNode) Fsync(ctx context.Context, h fs.FileHandle, flags uint32) syscall.Errno {
	if errno := n.errno(opSync); errno != 0 {
		return errno
	}
	syncer, ok := h.(fs.FileFsyncer)
	if !ok {
		return 0 // a folder
	}
	return syncer.Fsync(ctx, flags)
}
