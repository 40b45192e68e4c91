// SPDX-License-Identifier: Apache-2.0

package chartconfig_test

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

// self is the job of the collector itself, which every shard has.
const self = "otel-collector"

// Each target of a runner is in exactly one of three shards, and none is missing.
func TestEachTargetIsInOneShard(t *testing.T) {
	whole := targets(t, render(t, "mimir", everything...), "")
	require.Greater(t, len(whole), 10, "too few to say anything")

	sharded := render(t, "shards", everything...)
	found := map[string]int{}
	probing := map[int]bool{}
	for shard := range 3 {
		share := targets(t, sharded, strconv.Itoa(shard))
		assert.NotEmpty(t, share, "shard %d has nothing to do", shard)
		for target := range share {
			found[target]++
			if strings.HasPrefix(target, "probes ") {
				probing[shard] = true
			}
		}
	}
	assert.Greater(t, len(probing), 1, "probes have one address, and are shared all the same")
	for target := range whole {
		assert.Equal(t, 1, found[target], "shards with the target %s", target)
		delete(found, target)
	}
	assert.Empty(t, found, "targets that one collector alone doesn't have")
}

// targets are what a collector scrapes of the scene, without itself.
func targets(t *testing.T, r rendering, shard string) map[string]bool {
	t.Helper()
	spec := scene.Spec{
		Env: r.env,
		Manifests: []string{
			"manifests/agent-manager.yaml", "manifests/tool-manager.yaml", "manifests/workflow-engine.yaml", "manifests/others.yaml",
			"manifests/kube-state-metrics.yaml", "manifests/probes.yaml", "manifests/services.yaml", "manifests/pods.yaml",
		},
	}
	s, err := spec.Load(filepath.Join(root, "configs/tests"))
	require.NoError(t, err)
	env := map[string]string{"SHARD": shard}
	for name, value := range r.env {
		if name != "SHARD" {
			env[name] = value
		}
	}
	s.Env = env
	file, err := configfile.Parse("collector.yaml", []byte(r.config))
	require.NoError(t, err)
	config, err := scrapetest.Load(file, env)
	require.NoError(t, err)
	result, err := scrapetest.New(virtualtime.FromTest(t)).Run(t.Context(), config, s, 0)
	require.NoError(t, err)
	kept := map[string]bool{}
	for _, target := range result.Targets(0) {
		if target.Kept() && !target.Duplicate && target.Job != self {
			kept[target.Job+" "+target.URL] = true
		}
	}
	return kept
}
