// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Dial connects to an address as the node itself does, which no NetworkPolicy can forbid: that is how the kubelet probes.
// The address has to be an IP address and a port. It has the signature of http.Transport.DialContext.
func (n *Node) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	pid, err := os.ReadFile(filepath.Join(n.run, "pid"))
	if err != nil {
		return nil, err
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		// A socket belongs to the namespace of the thread that makes it. The thread ends with this goroutine, because it
		// is never unlocked: nothing else comes to run in that namespace.
		runtime.LockOSThread()
		namespace, err := os.Open("/proc/" + strings.TrimSpace(string(pid)) + "/ns/net") //nolint:gosec // the node wrote its number
		if err != nil {
			done <- result{nil, err}
			return
		}
		defer func() { _ = namespace.Close() }() // it was only named
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- result{nil, fmt.Errorf("entering the node's network: %w", err)}
			return
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}
