// SPDX-License-Identifier: Apache-2.0

package scope

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func matcher(t *testing.T, patterns ...Pattern) *Matcher {
	t.Helper()
	m, err := NewMatcher(patterns)
	require.NoError(t, err)
	return m
}

func TestMatcherIsAnchored(t *testing.T) {
	m := matcher(t, "up", "kube_.*", "(tool|agent)-manager", "a.b")
	for _, name := range []string{"up", "kube_pod_info", "tool-manager", "agent-manager", "a.b", "axb", "kube_"} {
		assert.True(t, m.Match(name), name)
	}
	for _, name := range []string{"", "upp", "sup", "my_kube_pod", "tool-manager-2", "a.b.c"} {
		assert.False(t, m.Match(name), name)
	}
	assert.False(t, matcher(t, ".*").Match(""), "what is unknown is out of scope")
	assert.True(t, matcher(t).Empty())
	assert.False(t, matcher(t).Match("x"))
}

func TestMatcherErrors(t *testing.T) {
	_, err := NewMatcher([]Pattern{"a", "foo("})
	assert.EqualError(t, err, `[1]: invalid regexp "foo(": missing closing ): fix or quote it`)
	_, err = NewMatcher([]Pattern{""})
	assert.EqualError(t, err, `[0]: empty: name something, or remove the entry`)
}

func TestUnmatched(t *testing.T) {
	m := matcher(t, "a", "b.*", "c")
	m.Match("a")
	m.Match("x")
	assert.Equal(t, []Pattern{"b.*", "c"}, m.Unmatched())
}

func TestProfiles(t *testing.T) {
	for _, name := range Profiles() {
		_, err := Profile(name)
		require.NoError(t, err)
	}
	_, err := Profile("stage9")
	require.EqualError(t, err, `unknown profile "stage9": use one of none, stage1`)
}

// The names that dashboards and alerts read, as they stand in the contract.
func TestStage1IsTheContract(t *testing.T) {
	m, err := NewMetrics("stage1", nil, nil)
	require.NoError(t, err)
	for _, name := range []string{
		"response_status", "http_requests_total", "cpu_usage", "agent_manager_tool_run_failure_counter_total", "process_cpu_seconds_total",
		"kube_pod_status_ready", "kube_pod_labels", "kube_deployment_status_replicas_unavailable", "kube_statefulset_status_replicas_ready",
		"kube_job_status_completion_time", "kube_persistentvolumeclaim_resource_requests_storage_bytes", "kube_hpa_status_current_replicas",
		"kube_horizontalpodautoscaler_spec_max_replicas", "probe_success", "probe_tls_version_info",
	} {
		assert.True(t, m.Match(name, false), name)
	}
	for _, name := range []string{"http_request_duration_highr_seconds", "agent_manager_http_request_duration_seconds", "go_gc_duration_seconds"} {
		assert.True(t, m.Match(name, true), name)
	}
	for _, name := range []string{"", "http_requests", "kube_node_info", "go_memstats_alloc_bytes", "http_request_duration_seconds", "kube_secret_info"} {
		assert.False(t, m.Match(name, false), name)
	}
}

func TestMetrics(t *testing.T) {
	m, err := NewMetrics("none", []Pattern{"a_seconds_count", "http_server_requests", "go_.*"}, []Pattern{"go_b_bucket", "go_c"})
	require.NoError(t, err)
	assert.True(t, m.Match("a_seconds", true), "a rule for one series speaks for the family")
	assert.False(t, m.Match("a_seconds", false))
	assert.True(t, m.Match("http.server.requests", false), "an OTLP name as Prometheus stores it")
	assert.True(t, m.Match("go_b", false))
	assert.False(t, m.Match("go_b", true))
	assert.False(t, m.Match("go_c", false), "exclude wins")

	m, err = NewMetrics("stage1", []Pattern{"up", "go_goroutines", "go_threads"}, nil)
	require.NoError(t, err)
	assert.Equal(t, []Pattern{"go_goroutines", "go_threads"}, m.Redundant())

	_, err = NewMetrics("x", nil, nil)
	require.EqualError(t, err, `profile: unknown profile "x": use one of none, stage1`)
	_, err = NewMetrics("none", []Pattern{"("}, nil)
	require.EqualError(t, err, `include[0]: invalid regexp "(": missing closing ): fix or quote it`)
}

func TestObjectMetrics(t *testing.T) {
	assert.True(t, IsObjectMetric("kube_pod_info"))
	assert.False(t, IsObjectMetric("kube_state_metrics_list_total"))
	assert.False(t, IsObjectMetric("kubelet_x"))
	for name, want := range map[string]bool{
		"kube_pod_info": true, "kube_horizontalpodautoscaler_spec": true, "kube_persistentvolumeclaim_info": true,
		"kube_persistentvolume_info": false, "kube_node_info": false, "kube_namespace_labels": false, "kube_customresource_x": false, "kube_pod": false,
	} {
		assert.Equal(t, want, IsNamespacedObjectMetric(name), name)
	}
}

func FuzzMetrics(f *testing.F) {
	f.Add("go_.*", "http.server.requests", true)
	f.Add("foo(", "", false)
	f.Fuzz(func(t *testing.T, pattern, name string, family bool) {
		m, err := NewMetrics("none", []Pattern{Pattern(pattern)}, nil)
		if err != nil {
			return
		}
		got := m.Match(name, family)
		excluded, err := NewMetrics("none", []Pattern{".*"}, []Pattern{Pattern(pattern)})
		require.NoError(t, err)
		if got && excluded.Match(name, family) {
			t.Fatalf("%q matches %q as an include and not as an exclude", pattern, name)
		}
	})
}
