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
	text, err := os.ReadFile(filepath.Join("testdata", name)) //nolint:gosec // a file of the test
	require.NoError(t, err)
	objects, err := Parse(name, text)
	require.NoError(t, err)
	return objects
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

// print writes groups for people. Discovery has no order of targets in all roles.
func print(groups []*targetgroup.Group) string {
	lines := func(indent string, labels model.LabelSet) string {
		var lines []string
		for name, value := range labels {
			lines = append(lines, fmt.Sprintf("%s%s: %q\n", indent, name, string(value)))
		}
		slices.Sort(lines)
		return strings.Join(lines, "")
	}
	var b strings.Builder
	for _, g := range groups {
		var targets []string
		for _, target := range g.Targets {
			targets = append(targets, "  - "+string(target[model.AddressLabel])+"\n"+lines("    ", target))
		}
		slices.Sort(targets)
		b.WriteString(g.Source + "\n" + lines("  ", g.Labels) + strings.Join(targets, ""))
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
	// One line at a time, or the difference would be hard to find.
	assert.Equal(t, strings.Split(string(want), "\n"), strings.Split(got, "\n"))
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

// TestDiscovery: Prometheus's own client finds what it finds in a cluster. The golden files were compared with what it finds in a
// real one (v1.34) to which the same manifests were applied; different were only addresses, generated names and uids.
func TestDiscovery(t *testing.T) {
	for manifests, roles := range map[string][]string{
		"runner": {"pod", "service", "endpoints", "endpointslice", "ingress", "node"},
		"states": {"pod", "service", "endpoints", "endpointslice", "node"},
	} {
		cluster := clusterOf(t, parseFile(t, manifests+".yaml"))
		for _, role := range roles {
			t.Run(manifests+"/"+role, func(t *testing.T) {
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
				golden(t, manifests+"-"+role, print(discover(t, url, config, n)))
				assert.Empty(t, api.Forbidden())
			})
		}
	}
}

// clusterOf makes a cluster whose service account may do everything.
func clusterOf(t *testing.T, objects []Object) *Cluster {
	t.Helper()
	rights, err := Parse("everything.yaml", []byte(everything))
	require.NoError(t, err)
	cluster, err := NewCluster(append(objects, rights...), Options{Namespace: "runner", ServiceAccount: "collector"})
	require.NoError(t, err)
	return cluster
}
