// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package node

import (
	"context"
	"errors"
	"net"
)

// Dial fails: a node runs on Linux only.
func (n *Node) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("a node runs on Linux only")
}
