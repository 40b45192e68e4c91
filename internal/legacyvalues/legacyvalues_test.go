// SPDX-License-Identifier: Apache-2.0

package legacyvalues

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestTable(t *testing.T) {
	entries, err := Table()
	require.NoError(t, err)
	require.NotEmpty(t, entries)

	position := map[string]int{}
	for i, e := range entries {
		assert.NotContains(t, position, e.Old, "each old key has one entry")
		position[e.Old] = i
		assert.Regexp(t, `^[A-Z].*\.$`, e.Reason, "%s: a reason is a sentence", e.Old)
		switch e.Action {
		case Keep:
			assert.Equal(t, e.Old, e.New, "what is kept keeps its name")
		case Rename:
			assert.NotEmpty(t, e.New, "%s: renamed to what?", e.Old)
			assert.NotEqual(t, e.Old, e.New)
		case Refuse, Drop:
			assert.NotEqual(t, e.Old, e.New)
		default:
			assert.Failf(t, "unknown action", "%s: %q", e.Old, e.Action)
		}
	}
	for _, e := range entries {
		for parent := range parents(e.Old) {
			if at, ok := position[parent]; ok {
				assert.Greater(t, at, position[e.Old], "%s has to come before %s, which covers it", e.Old, parent)
			}
		}
	}
}

// Every key of the table is one that Entry has: a mistyped one would be lost in silence.
func TestTableHasNoOtherKeys(t *testing.T) {
	decoder := yaml.NewDecoder(bytes.NewReader(table))
	decoder.KnownFields(true)
	var entries []Entry
	require.NoError(t, decoder.Decode(&entries))
}

// What deployments set today is in the table.
func TestTableKnowsWhatDeploymentsSet(t *testing.T) {
	entries, err := Table()
	require.NoError(t, err)
	known := map[string]Action{}
	for _, e := range entries {
		known[e.Old] = e.Action
	}
	for old, action := range map[string]Action{
		"organization": Rename, "uuid": Keep, "runnerNameOverride": Rename, "nameOverride": Drop, "fullnameOverride": Keep,
		"imagePullSecrets": Keep, "nats.jwt": Refuse, "nats.secondJwt": Refuse, "nats.subject": Keep, "nats.serverUrl": Keep,
		"registryTls.crt": Keep, "registryTls.key": Refuse, "AZURE_REMOTE_WRITE_URL": Rename, "AZURE_CLIENT_ID": Rename,
		"AZURE_CLIENT_SECRET": Refuse, "AZURE_TOKEN_URL": Refuse, "alloy": Refuse, "kubestatemetrics": Refuse,
		"enforcer": Refuse, "groundingMcp": Drop,
	} {
		assert.Equal(t, action, known[old], old)
	}
}

// parents yields the paths above a path.
func parents(path string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := strings.LastIndexByte(path, '.'); i >= 0; i = strings.LastIndexByte(path[:i], '.') {
			if !yield(path[:i]) {
				return
			}
		}
	}
}
