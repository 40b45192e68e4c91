// SPDX-License-Identifier: Apache-2.0

package sample

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestComponentMovesOn(t *testing.T) {
	component, err := Component("agent-manager", 1)
	require.NoError(t, err)
	requests := func() (sum float64) {
		families, err := component.Gather()
		require.NoError(t, err)
		for _, family := range families {
			if family.GetName() != "agent_manager_http_requests_total" {
				continue
			}
			for _, metric := range family.GetMetric() {
				sum += metric.GetCounter().GetValue()
			}
		}
		return sum
	}
	first := requests()
	assert.Positive(t, first)
	assert.Eventually(t, func() bool { return requests() > first }, 10*time.Second, 50*time.Millisecond)
}

func TestComponentUnknown(t *testing.T) {
	_, err := Component("dagger-engine", 1)
	assert.EqualError(t, err, `component "dagger-engine" has no metrics here; those that have are agent-manager, tool-manager, workflow-engine`)
}
