// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kubiyabot/otelcol-runner/test/e2e/internal/node"
)

func TestJudgeAudit(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	ask := func(user, namespace, resource, uri string, code int) node.Request {
		return node.Request{Began: at, User: user, Verb: "list", Namespace: namespace, Resource: resource, URI: uri, Code: code}
	}
	const collector, other = "system:serviceaccount:acme:otel", "system:serviceaccount:kube-system:generic-garbage-collector"
	own := ask(collector, "acme", "pods", "/api/v1/namespaces/acme/pods", http.StatusOK)
	all := ask(collector, "", "pods", "/api/v1/pods", http.StatusForbidden)
	neighbour := ask(collector, "globex", "pods", "/api/v1/namespaces/globex/pods", http.StatusOK)
	machine := ask(collector, "", "nodes", "/api/v1/nodes", http.StatusForbidden)
	refused := ask(collector, "acme", "pods", "/api/v1/namespaces/acme/pods", http.StatusForbidden)
	version := ask(collector, "", "", "/version?timeout=1s", http.StatusOK)
	metrics := ask(collector, "", "", "/metrics", http.StatusOK)
	administrator := ask("admin", "globex", "pods", "/api/v1/namespaces/globex/pods", http.StatusForbidden)
	controller := ask(other, "globex", "pods", "/api/v1/namespaces/globex/pods", http.StatusForbidden)
	requests := []node.Request{own, all, neighbour, machine, refused, version, metrics, administrator, controller}

	v := judgeAudit(requests, []string{"acme"}, nil)
	assert.Equal(t, auditVerdict{
		Requests:  map[string]int{"acme/otel": 7},
		Outside:   []string{line(all), line(neighbour), line(machine), line(metrics)},
		Forbidden: []string{line(all), line(machine), line(refused)},
		Discovery: map[string]int{"/version?timeout=1s": 1},
	}, v)

	v = judgeAudit([]node.Request{refused}, []string{"acme"}, []window{{"acme", at.Add(-time.Second), at.Add(time.Second)}})
	assert.Equal(t, []string{line(refused)}, v.Expected)
	assert.Empty(t, v.Forbidden)
	v = judgeAudit([]node.Request{refused}, []string{"acme"}, []window{{"acme", at.Add(time.Second), time.Time{}}, {"globex", at.Add(-time.Second), time.Time{}}})
	assert.Equal(t, []string{line(refused)}, v.Forbidden, "before its window, and in that of another namespace")
}

func TestIsDiscovery(t *testing.T) {
	for uri, want := range map[string]bool{
		"/version": true, "/livez": true, "/api": true, "/apis/apps/v1": true, "/apis/apps?timeout=32s": true, "/openapi/v3/apis/apps/v1": true,
		"/api/v1/nodes": false, "/apis/apps/v1/deployments": false, "/metrics": false, "/api/v1/namespaces/acme/pods": false,
	} {
		assert.Equal(t, want, isDiscovery(uri), uri)
	}
}
