// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

func TestCheck(t *testing.T) {
	kinds, err := Load()
	require.NoError(t, err)
	check := func(want, text string) {
		t.Helper()
		var object map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(text), &object))
		err, known := kinds.Check(object)
		require.True(t, known)
		if want == "" {
			assert.NoError(t, err)
			return
		}
		assert.ErrorContains(t, err, want)
	}
	check("", `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: a}, spec: {secretName: a, dnsNames: [a], issuerRef: {name: a}}}`)
	check("spec.dnsName: there is no such field", `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: a}, spec: {secretName: a, dnsName: a, issuerRef: {name: a}}}`)
	check("spec.secretName: Required value", `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: a}, spec: {issuerRef: {name: a}}}`)
	check("spec.issuerRef.name", `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: a}, spec: {secretName: a, issuerRef: {name: 1}}}`)
	// A rule in CEL: one of chart and chartRef.
	check("either chart or chartRef must be set", `{apiVersion: helm.toolkit.fluxcd.io/v2, kind: HelmRelease, metadata: {name: a}, spec: {interval: 1h}}`)

	_, known := kinds.Check(map[string]any{"apiVersion": "v1", "kind": "Secret"})
	assert.False(t, known)
}
