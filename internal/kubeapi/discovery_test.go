// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write testdata/*.golden")

// parseFile reads a file of testdata.
func parseFile(t *testing.T, name string) []Object {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	objects, err := Parse(name, text)
	require.NoError(t, err)
	return objects
}

// newCluster makes a cluster of manifests.
func newCluster(t *testing.T, manifests string, options Options) *Cluster {
	t.Helper()
	objects, err := Parse("test.yaml", []byte(manifests))
	require.NoError(t, err)
	cluster, err := NewCluster(objects, options)
	require.NoError(t, err)
	return cluster
}

// discover runs Prometheus's own discovery against a server until it has sent n groups.
func discover(t *testing.T, url, config string, n int) []*targetgroup.Group {
	t.Helper()
	var sd kubernetes.SDConfig
	require.NoError(t, yaml.Unmarshal([]byte(config+"\napi_server: "+url), &sd))
	registry := prometheus.NewRegistry()
	metrics := sd.NewDiscovererMetrics(registry, discovery.NewRefreshMetrics(registry))
	require.NoError(t, metrics.Register())
	discoverer, err := sd.NewDiscoverer(discovery.DiscovererOptions{Logger: promslog.NewNopLogger(), Metrics: metrics})
	require.NoError(t, err)

	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	groups := make(chan []*targetgroup.Group)
	done := make(chan struct{})
	go func() {
		defer close(done)
		discoverer.Run(ctx, groups)
	}()
	defer func() {
		stop()
		<-done
	}()
	bySource := map[string]*targetgroup.Group{}
	for len(bySource) < n {
		select {
		case some := <-groups:
			for _, g := range some {
				bySource[g.Source] = g
			}
		case <-ctx.Done():
			require.FailNow(t, "discovery did not finish", "has %d of %d groups", len(bySource), n)
		}
	}
	var sorted []*targetgroup.Group
	for _, g := range bySource {
		sorted = append(sorted, g)
	}
	slices.SortFunc(sorted, func(a, b *targetgroup.Group) int { return strings.Compare(a.Source, b.Source) })
	return sorted
}

// serve starts a server that ends with the test.
func serve(t *testing.T, cluster *Cluster) (*Server, string) {
	t.Helper()
	api := NewServer(cluster)
	server := httptest.NewServer(api)
	t.Cleanup(func() {
		server.CloseClientConnections() // a watch lasts until its client goes
		server.Close()
	})
	return api, server.URL
}

// print writes groups for people.
func print(groups []*targetgroup.Group) string {
	var b strings.Builder
	write := func(indent string, labels model.LabelSet) {
		names := make([]string, 0, len(labels))
		for name := range labels {
			names = append(names, string(name))
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(&b, "%s%s: %q\n", indent, name, string(labels[model.LabelName(name)]))
		}
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "%s\n", g.Source)
		write("  ", g.Labels)
		for _, target := range g.Targets {
			fmt.Fprintf(&b, "  - %s\n", target[model.AddressLabel])
			write("    ", target)
		}
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file) //nolint:gosec // a file of the test
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

const everything = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: everything}
rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: everything}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: everything}
subjects: [{kind: ServiceAccount, name: collector, namespace: runner}]
`

// TestDiscovery: Prometheus's own client finds what it would find in a cluster.
func TestDiscovery(t *testing.T) {
	objects, err := Parse("everything.yaml", []byte(everything))
	require.NoError(t, err)
	cluster, err := NewCluster(append(parseFile(t, "runner.yaml"), objects...), Options{Namespace: "runner", ServiceAccount: "collector"})
	require.NoError(t, err)
	for _, role := range []string{"pod", "service", "endpoints", "endpointslice", "ingress", "node"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			api, url := serve(t, cluster)
			n, err := cluster.Discoverable(role, nil, "", "")
			require.NoError(t, err)
			require.Positive(t, n)
			config := "role: " + role
			switch role {
			case "node":
			case "ingress", "service":
				config += "\nattach_metadata: {namespace: true}"
			default:
				config += "\nattach_metadata: {namespace: true, node: true, deployment: true, job: true, cronjob: true}"
			}
			golden(t, role, print(discover(t, url, config, n)))
			assert.Empty(t, api.Forbidden())
		})
	}
}
