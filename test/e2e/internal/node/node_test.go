// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const auditLog = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a","stage":"ResponseStarted","requestURI":"/api/v1/namespaces/runner/pods?watch=1","verb":"watch","user":{"username":"system:serviceaccount:runner:otel","groups":["system:authenticated"]},"userAgent":"otelcol-runner","objectRef":{"resource":"pods","namespace":"runner","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-11-24T18:00:00.000001Z","stageTimestamp":"2026-11-24T18:00:00.000002Z"}
{"kind":"Event","auditID":"b","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/other/deployments/x/status","verb":"get","user":{"username":"admin"},"objectRef":{"apiGroup":"apps","resource":"deployments","namespace":"other","name":"x","subresource":"status"},"responseStatus":{"code":403},"requestReceivedTimestamp":"2026-11-24T18:00:01Z"}
{"kind":"Event","auditID":"a","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/runner/pods?watch=1","verb":"watch","user":{"username":"system:serviceaccount:runner:otel"},"userAgent":"otelcol-runner","objectRef":{"resource":"pods","namespace":"runner"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-11-24T18:00:00.000001Z"}
`

func TestReadAudit(t *testing.T) {
	requests, err := readAudit(strings.NewReader(auditLog + `{"kind":"Event","audit`))
	require.NoError(t, err)
	watch := Request{
		Began: time.Date(2026, 11, 24, 18, 0, 0, 1000, time.UTC), User: "system:serviceaccount:runner:otel", Agent: "otelcol-runner",
		Verb: "watch", URI: "/api/v1/namespaces/runner/pods?watch=1", Resource: "pods", Namespace: "runner", Code: 200,
	}
	get := Request{
		Began: time.Date(2026, 11, 24, 18, 0, 1, 0, time.UTC), User: "admin", Verb: "get",
		URI: "/apis/apps/v1/namespaces/other/deployments/x/status", Group: "apps", Resource: "deployments", Subresource: "status",
		Namespace: "other", Name: "x", Code: 403,
	}
	assert.Equal(t, []Request{watch, get}, requests)

	namespace, name, ok := watch.ServiceAccount()
	assert.Equal(t, []any{"runner", "otel", true}, []any{namespace, name, ok})
	_, _, ok = get.ServiceAccount()
	assert.False(t, ok)
}

func TestReadAuditOfRunningWatch(t *testing.T) {
	first, _, _ := strings.Cut(auditLog, "\n")
	requests, err := readAudit(strings.NewReader(first + "\n"))
	require.NoError(t, err)
	require.Len(t, requests, 1)
	assert.True(t, requests[0].Running)
}

func TestReadAuditNamesTheLine(t *testing.T) {
	_, err := readAudit(strings.NewReader(auditLog + "nonsense\n"))
	assert.ErrorContains(t, err, "line 4: ")
}

func TestContainerID(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "runner", Name: "otel-0"},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "otel", ContainerID: "containerd://abc", State: running},
			{Name: "probes", ContainerID: "containerd://def"},
		}},
	}
	id, err := containerID(pod, "otel")
	require.NoError(t, err)
	assert.Equal(t, "abc", id)
	_, err = containerID(pod, "probes")
	assert.EqualError(t, err, `pod runner/otel-0 has no running container "probes"; running are ["otel"]`)
}
