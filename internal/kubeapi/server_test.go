// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// get asks for a path and returns the code and the body.
func get(t *testing.T, method, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode, string(body)
}

func TestClient(t *testing.T) {
	cluster := clusterOf(t, parseFile(t, "runner.yaml"))
	_, url := serve(t, cluster)
	for _, contentType := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		t.Run(contentType, func(t *testing.T) {
			client, err := kubernetes.NewForConfig(&rest.Config{Host: url, ContentConfig: rest.ContentConfig{ContentType: contentType, AcceptContentTypes: contentType}})
			require.NoError(t, err)
			pods := client.CoreV1().Pods("runner")

			list, err := pods.List(t.Context(), metav1.ListOptions{LabelSelector: "app=dagger", FieldSelector: "metadata.name!=dagger-1,status.phase=Running"})
			require.NoError(t, err)
			require.Len(t, list.Items, 1)
			assert.Equal(t, "dagger-0", list.Items[0].Name)
			assert.Equal(t, "1", list.ResourceVersion)
			pod, err := pods.Get(t.Context(), "dagger-0", metav1.GetOptions{})
			require.NoError(t, err)
			assert.Equal(t, list.Items[0].Status, pod.Status)
			_, err = pods.Get(t.Context(), "nobody", metav1.GetOptions{})
			assert.True(t, apierrors.IsNotFound(err), "%v", err)
			_, err = pods.List(t.Context(), metav1.ListOptions{FieldSelector: "spec.nonsense=x"})
			assert.True(t, apierrors.IsBadRequest(err), "%v", err)
			assert.ErrorContains(t, err, "field label not supported: spec.nonsense")
			_, err = client.CoreV1().Namespaces().Get(t.Context(), "runner", metav1.GetOptions{})
			require.NoError(t, err)
			err = pods.Delete(t.Context(), "dagger-0", metav1.DeleteOptions{})
			assert.True(t, apierrors.IsMethodNotSupported(err), "%v", err)

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			watcher, err := pods.Watch(ctx, metav1.ListOptions{LabelSelector: "app=dagger"})
			require.NoError(t, err)
			for _, name := range []string{"dagger-0", "dagger-1"} {
				event := <-watcher.ResultChan()
				pod, isPod := event.Object.(*corev1.Pod)
				require.True(t, isPod)
				assert.Equal(t, name, pod.Name)
			}
			watcher.Stop()

			seconds := int64(1)
			watcher, err = pods.Watch(ctx, metav1.ListOptions{ResourceVersion: "1", TimeoutSeconds: &seconds})
			require.NoError(t, err)
			_, more := <-watcher.ResultChan()
			assert.False(t, more, "nothing has changed since, and then the time is over")
		})
	}
}

// TestWatchList: the initial events end with a bookmark that says so.
func TestWatchList(t *testing.T) {
	_, url := serve(t, clusterOf(t, parseFile(t, "runner.yaml")))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		url+"/api/v1/namespaces/runner/services?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=kubiya.io/metrics-name", http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	lines := bufio.NewReader(response.Body)
	for _, want := range []string{"ADDED", "BOOKMARK"} {
		line, err := lines.ReadBytes('\n')
		require.NoError(t, err)
		var event struct {
			Type   string
			Object metav1.PartialObjectMetadata
		}
		require.NoError(t, json.Unmarshal(line, &event))
		assert.Equal(t, want, event.Type)
		assert.Equal(t, "Service", event.Object.Kind)
		if want == "BOOKMARK" {
			assert.Equal(t, "true", event.Object.Annotations[metav1.InitialEventsAnnotationKey])
		}
	}
	require.NoError(t, response.Body.Close())
}

// TestDefaultRole: whoever the manifests do not know has the runner's Role. The messages are those of kube-apiserver v1.34.
func TestDefaultRole(t *testing.T) {
	objects := parseFile(t, "runner.yaml")
	cluster, err := NewCluster(objects, Options{Namespace: "runner", ServiceAccount: "collector"})
	require.NoError(t, err)
	api, url := serve(t, cluster)
	for _, allowed := range []string{"/api/v1/namespaces/runner/pods", "/api/v1/namespaces/runner/services", "/apis/discovery.k8s.io/v1/namespaces/runner/endpointslices", "/api/v1/namespaces/runner/pods/dagger-0"} {
		code, body := get(t, http.MethodGet, url+allowed)
		assert.Equal(t, http.StatusOK, code, body)
	}
	for path, message := range map[string]string{
		"/api/v1/pods":                                        `pods is forbidden: User "system:serviceaccount:runner:collector" cannot list resource "pods" in API group "" at the cluster scope`,
		"/api/v1/namespaces/runner/endpoints":                 `endpoints is forbidden: User "system:serviceaccount:runner:collector" cannot list resource "endpoints" in API group "" in the namespace "runner"`,
		"/api/v1/namespaces/runner/pods/x/proxy/metrics":      `pods "x" is forbidden: User "system:serviceaccount:runner:collector" cannot get resource "pods/proxy" in API group "" in the namespace "runner"`,
		"/apis/discovery.k8s.io/v1/endpointslices?watch=true": `endpointslices.discovery.k8s.io is forbidden: User "system:serviceaccount:runner:collector" cannot watch resource "endpointslices" in API group "discovery.k8s.io" at the cluster scope`,
		"/api/v1/namespaces/runner":                           `namespaces "runner" is forbidden: User "system:serviceaccount:runner:collector" cannot get resource "namespaces" in API group "" in the namespace "runner"`,
		"/api/v1/namespaces/runner/nothings":                  `nothings is forbidden: User "system:serviceaccount:runner:collector" cannot list resource "nothings" in API group "" in the namespace "runner"`,
		"/foo":                                                `forbidden: User "system:serviceaccount:runner:collector" cannot get path "/foo"`,
	} {
		code, body := get(t, http.MethodGet, url+path)
		assert.Equal(t, http.StatusForbidden, code)
		var status metav1.Status
		require.NoError(t, json.Unmarshal([]byte(body), &status))
		assert.Equal(t, message, status.Message)
		assert.Equal(t, metav1.StatusReasonForbidden, status.Reason)
	}
	assert.Len(t, api.Requests(), 11)
}

func TestForbidden(t *testing.T) {
	cluster, err := NewCluster(parseFile(t, "runner.yaml"), Options{Namespace: "runner"})
	require.NoError(t, err)
	api, url := serve(t, cluster)
	for _, path := range []string{
		"/api/v1/namespaces/runner/endpoints?watch=1", "/api/v1/namespaces/runner/endpoints", "/api/v1/pods", "/api/v1/nodes",
		"/api/v1/namespaces", "/api/v1/namespaces/shop/pods", "/apis/apps/v1/namespaces/runner/replicasets", "/version",
	} {
		get(t, http.MethodGet, url+path)
	}
	var b strings.Builder
	for _, d := range api.Forbidden() {
		b.WriteString(d.Message + "\n" + d.Rule + d.Remedy + "\n\n")
	}
	golden(t, "forbidden", b.String())
}

func TestRoles(t *testing.T) {
	const binding = `
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: b}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: KIND, name: NAME}
subjects: [{kind: ServiceAccount, name: collector}]
`
	allowed := func(manifests, path string) bool {
		t.Helper()
		cluster, err := NewCluster(parse(t, manifests), Options{Namespace: "runner", ServiceAccount: "collector"})
		require.NoError(t, err)
		_, url := serve(t, cluster)
		code, _ := get(t, http.MethodGet, url+path)
		return code != http.StatusForbidden
	}
	bind := func(kind, name string) string {
		return strings.NewReplacer("KIND", kind, "NAME", name).Replace(binding)
	}
	role := func(rules string) string {
		return "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r}, rules: [" + rules + "]}" + bind("Role", "r")
	}
	const pods, nodes = "/api/v1/namespaces/runner/pods", "/api/v1/nodes"

	assert.True(t, allowed("", pods), "nobody is bound: the runner's Role")
	assert.True(t, allowed(role(`{apiGroups: [""], resources: [pods], verbs: [list]}`), pods))
	assert.True(t, allowed(role(`{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}`), pods))
	assert.False(t, allowed(role(`{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}`), "/api/v1/pods"), "a Role ends at its namespace")
	assert.False(t, allowed(role(`{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}`), nodes))
	assert.False(t, allowed(role(`{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}`), "/api/v1/namespaces/shop/pods"))
	assert.True(t, allowed(role(`{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}`), "/api/v1/namespaces/runner"))
	assert.False(t, allowed(role(`{apiGroups: [""], resources: [pods], verbs: [watch]}`), pods))
	assert.False(t, allowed(role(`{apiGroups: [apps], resources: [pods], verbs: [list]}`), pods))
	assert.False(t, allowed(role(`{apiGroups: [""], resources: [pods/log], verbs: [list]}`), pods))
	assert.True(t, allowed(role(`{apiGroups: [""], resources: ["*/proxy"], verbs: [get]}`), pods+"/x/proxy/metrics"))
	assert.False(t, allowed(role(`{apiGroups: [""], resources: [pods], verbs: [list], resourceNames: [a]}`), pods))
	assert.True(t, allowed(role(`{apiGroups: [""], resources: [pods], verbs: [list], resourceNames: [a]}`), pods+"?fieldSelector=metadata.name%3Da"))
	assert.True(t, allowed(role(`{apiGroups: [""], resources: [pods], verbs: [get], resourceNames: [a]}`), pods+"/a"))
	assert.False(t, allowed(bind("Role", "nobody"), pods), "a role that is not there allows nothing")
	assert.True(t, allowed(bind("ClusterRole", "view"), "/apis/networking.k8s.io/v1/namespaces/runner/ingresses"))
	assert.False(t, allowed(bind("ClusterRole", "view"), "/apis/networking.k8s.io/v1/ingresses"))
	assert.True(t, allowed(everything, nodes))
	assert.True(t, allowed(`
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: sum}, aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: part, labels: {a: b}}, rules: [{apiGroups: [""], resources: [pods], verbs: [list]}]}`+
		bind("ClusterRole", "sum"), pods))
	for subject, want := range map[string]bool{
		"{kind: ServiceAccount, name: collector, namespace: shop}":        false,
		"{kind: User, name: 'system:serviceaccount:runner:collector'}":    true,
		"{kind: Group, name: 'system:serviceaccounts:runner'}":            true,
		"{kind: Group, name: 'system:masters'}":                           false,
		"{kind: ServiceAccount, name: collector, namespace: runner}":      true,
		"{kind: ServiceAccount, name: kube-state-metrics, namespace: ''}": false,
	} {
		manifests := strings.Replace(bind("ClusterRole", "cluster-admin"), "{kind: ServiceAccount, name: collector}", subject, 1)
		assert.Equal(t, want, allowed(manifests, "/api/v1/namespaces/runner/endpoints"), subject)
	}
}

func TestDiscoverable(t *testing.T) {
	cluster := clusterOf(t, parseFile(t, "runner.yaml"))
	count := func(role string, namespaces []string, labels, fields string) int {
		n, err := cluster.Discoverable(role, namespaces, labels, fields)
		require.NoError(t, err)
		return n
	}
	assert.Equal(t, 6, count("pod", nil, "", ""))
	assert.Equal(t, 6, count("pod", []string{"runner", "shop"}, "", ""))
	assert.Equal(t, 0, count("pod", []string{"shop"}, "", ""))
	assert.Equal(t, 2, count("pod", nil, "app=dagger", ""))
	assert.Equal(t, 1, count("pod", nil, "app=dagger", "metadata.name=dagger-0"))
	assert.Equal(t, 1, count("node", []string{"runner"}, "", ""))
	_, err := cluster.Discoverable("nothing", nil, "", "")
	assert.EqualError(t, err, `there is no role "nothing": use pod, service, endpoints, endpointslice, ingress or node`)
	_, err = cluster.Discoverable("pod", nil, "", "x=y")
	assert.EqualError(t, err, "field label not supported: x")
}
