// SPDX-License-Identifier: Apache-2.0

package configs_test

import (
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/kubeapi"
)

// kubeAPI answers for the objects of a manifest, to an account that has the runner's Role in namespace.
type kubeAPI struct {
	*kubeapi.Server
	URL string
}

// startKubeAPI serves the objects of a manifest file; an empty name serves none.
func startKubeAPI(t *testing.T, manifest string) *kubeAPI {
	t.Helper()
	var objects []kubeapi.Object
	if manifest != "" {
		text, err := os.ReadFile(manifest) //nolint:gosec // a file of the test
		require.NoError(t, err)
		objects, err = kubeapi.Parse(manifest, text)
		require.NoError(t, err)
		require.NotEmpty(t, objects)
	}
	cluster, err := kubeapi.NewCluster(objects, kubeapi.Options{Namespace: namespace})
	require.NoError(t, err)
	require.Empty(t, cluster.Ignored())
	api := kubeapi.NewServer(cluster)
	server := httptest.NewServer(api)
	t.Cleanup(func() {
		// A watch lasts until its client goes.
		server.CloseClientConnections()
		server.Close()
	})
	return &kubeAPI{api, server.URL}
}

// onlyAskedForWhatIsAllowed fails the test where the runner's Role was not enough, or where nothing was asked for.
func (k *kubeAPI) onlyAskedForWhatIsAllowed(t *testing.T) {
	t.Helper()
	assert.NotEmpty(t, k.Requests(), "the API server was never asked")
	for _, denial := range k.Forbidden() {
		assert.Fail(t, denial.Message)
	}
}
