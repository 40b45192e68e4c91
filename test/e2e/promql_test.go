// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/scope"
)

// elsewhere are metrics of the stage-1 scope that nothing in these runners has; contract says why.
var elsewhere = []scope.Pattern{"kube_hpa_.*", "probe_ssl_earliest_cert_expiry", "probe_tls_version_info"}

// A metric that is added to the scope has to be asked for here.
func TestEveryMetricOfTheScopeIsAskedFor(t *testing.T) {
	var texts strings.Builder
	for _, e := range slices.Concat(contract(), health()) {
		text := strings.ReplaceAll(e.text, "$R", `organization="acme",runner="runner"`)
		_, err := parser.NewParser(parser.Options{}).ParseExpr(text)
		require.NoError(t, err, "%s: %s", e.name, text)
		texts.WriteString(text + "\n")
	}
	metrics, err := scope.Profile("stage1")
	require.NoError(t, err)
	for _, metric := range metrics {
		asked := strings.Contains(texts.String(), strings.TrimSuffix(string(metric), ".*"))
		assert.Equal(t, !slices.Contains(elsewhere, metric), asked, metric)
	}
}
