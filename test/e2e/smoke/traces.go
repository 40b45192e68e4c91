// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// traces is what a node could leave on a machine, a line each.
func traces() ([]string, error) {
	var all []string
	for _, command := range []string{
		"ps -eo comm= | grep -E '^(kubelet|kube-proxy|containerd|coredns|pause|standin)' || true",
		"cut -d' ' -f2 /proc/mounts",
		"find /sys/fs/cgroup -maxdepth 2 -type d -name '*e2e*'",
		"ls -d /run/netns/* /var/lib/cni/*/* /var/log/pods/* /var/log/containers/* /var/lib/kubelet /opt/containerd /run/containerd/*/* 2>/dev/null || true",
		"ip -brief link | cut -d' ' -f1; ip -brief address; ip route; ip rule",
		"iptables-save | grep -v '^[#:]'",
		"sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes" +
			" net.ipv4.ip_forward net.ipv4.conf.all.route_localnet net.netfilter.nf_conntrack_max 2>/dev/null || true",
	} {
		out, err := exec.CommandContext(context.Background(), "bash", "-c", command).Output() //nolint:gosec // the list above
		if err != nil {
			return nil, fmt.Errorf("%s: %w", command, err)
		}
		all = append(all, strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })...)
	}
	return all, nil
}

// difference is what is in a and not in b. A line that is there twice counts twice.
func difference(a, b []string) []string {
	b = slices.Clone(b)
	var more []string
	for _, line := range a {
		if i := slices.Index(b, line); i >= 0 {
			b = slices.Delete(b, i, i+1)
			continue
		}
		more = append(more, line)
	}
	return more
}
