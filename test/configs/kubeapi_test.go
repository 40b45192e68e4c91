// SPDX-License-Identifier: Apache-2.0

package configs_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kubeAPI answers list and watch of the objects of a manifest, for every namespace, and writes down who asked for what.
// Nothing changes: a watch reports what there is and then nothing.
type kubeAPI struct {
	URL     string
	objects []map[string]any

	mu       sync.Mutex // guards requests
	requests []string
}

// resources are what the Role of a runner allows, by kind: the API path and the resource.
var resources = map[string]struct{ api, resource, version string }{
	"Pod":           {"/api/v1", "pods", "v1"},
	"Service":       {"/api/v1", "services", "v1"},
	"EndpointSlice": {"/apis/discovery.k8s.io/v1", "endpointslices", "discovery.k8s.io/v1"},
}

var objectPath = regexp.MustCompile(`^(/api/v1|/apis/discovery\.k8s\.io/v1)(?:/namespaces/([^/]+))?/([a-z]+)$`)

// startKubeAPI serves the objects of a manifest file; an empty name serves none.
func startKubeAPI(t *testing.T, manifest string) *kubeAPI {
	t.Helper()
	k := &kubeAPI{}
	if manifest != "" {
		file, err := os.Open(manifest) //nolint:gosec // a file of the test
		require.NoError(t, err)
		decoder := yaml.NewDecoder(file)
		for {
			var object map[string]any
			if decoder.Decode(&object) != nil {
				break
			}
			require.Contains(t, resources, object["kind"])
			k.objects = append(k.objects, object)
		}
		require.NoError(t, file.Close())
		require.NotEmpty(t, k.objects)
	}
	server := httptest.NewServer(k)
	t.Cleanup(func() {
		// A watch lasts until its client goes.
		server.CloseClientConnections()
		server.Close()
	})
	k.URL = server.URL
	return k
}

// ServeHTTP answers like kube-apiserver, in JSON.
func (k *kubeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.requests = append(k.requests, r.Method+" "+r.URL.Path)
	k.mu.Unlock()

	path := objectPath.FindStringSubmatch(r.URL.Path)
	if r.Method != http.MethodGet || path == nil {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	for kind, res := range resources {
		if res.api == path[1] && res.resource == path[3] {
			k.answer(w, r, kind, path[2])
			return
		}
	}
	http.Error(w, "forbidden", http.StatusForbidden)
}

func (k *kubeAPI) answer(w http.ResponseWriter, r *http.Request, kind, namespace string) {
	var items []any
	for _, object := range k.objects {
		metadata, isMap := object["metadata"].(map[string]any)
		if isMap && object["kind"] == kind && (namespace == "" || metadata["namespace"] == namespace) {
			items = append(items, object)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encode := func(v any) { _ = encoder.Encode(v) } // the client may be gone
	version := resources[kind].version
	if r.URL.Query().Get("watch") == "" {
		encode(map[string]any{"kind": kind + "List", "apiVersion": version, "metadata": map[string]any{"resourceVersion": "1"}, "items": items})
		return
	}
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		for _, item := range items {
			encode(map[string]any{"type": "ADDED", "object": item})
		}
		encode(map[string]any{"type": "BOOKMARK", "object": map[string]any{
			"kind": kind, "apiVersion": version,
			"metadata": map[string]any{"resourceVersion": "1", "annotations": map[string]string{metav1.InitialEventsAnnotationKey: "true"}},
		}})
	}
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
	<-r.Context().Done()
}

// onlyAskedAbout fails the test where something outside of the namespace was asked for, or where nothing was.
func (k *kubeAPI) onlyAskedAbout(t *testing.T, namespace string) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	assert.NotEmpty(t, k.requests, "the API server was never asked")
	for _, request := range k.requests {
		allowed := strings.HasPrefix(request, "GET /api/v1/namespaces/"+namespace+"/") ||
			strings.HasPrefix(request, "GET /apis/discovery.k8s.io/v1/namespaces/"+namespace+"/")
		assert.True(t, allowed, "asked for outside of the namespace: %s", request)
	}
}
