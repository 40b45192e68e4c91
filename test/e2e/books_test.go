// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
)

func TestForeign(t *testing.T) {
	runners := []*runner{
		{release: release{namespace: "acme"}, organization: "acme", runnerName: "one"},
		{release: release{namespace: "globex"}, organization: "globex", runnerName: "two"},
	}
	known := func(namespace, pod string) bool { return namespace == "acme" && pod == "agent-manager-0" }
	for name, tc := range map[string]struct {
		change map[string]string
		want   string
	}{
		"a runner's own":               {nil, ""},
		"a probe of its own":           {map[string]string{"pod": "", "target": "http://agent-manager.acme.svc:80/healthz"}, ""},
		"a namespace of nobody":        {map[string]string{"namespace": "decoy"}, "its namespace is of no runner"},
		"an identity of the other":     {map[string]string{"runner": "two"}, "it has the identity of another runner"},
		"an organization of the other": {map[string]string{"organization": "globex"}, "it has the identity of another runner"},
		"no kind":                      {map[string]string{"kubiya_type": ""}, "it is not marked as a runner's"},
		"no component":                 {map[string]string{"app": ""}, "it is of no component"},
		"found elsewhere":              {map[string]string{"kubernetes_namespace": "globex"}, "kubernetes_namespace is another namespace"},
		"about another namespace":      {map[string]string{"exported_namespace": "decoy"}, "exported_namespace is another namespace"},
		"a pod of another namespace":   {map[string]string{"pod": "agent-manager-1"}, "its pod was never in the namespace"},
		"a probe of another namespace": {map[string]string{"target": "http://agent-manager.decoy.svc:80/"}, "it is about a target elsewhere"},
	} {
		t.Run(name, func(t *testing.T) {
			series := map[string]string{
				"organization": "acme", "runner": "one", "kubiya_type": "customers-runners", "namespace": "acme", "app": "agent-manager",
				"kubernetes_namespace": "acme", "pod": "agent-manager-0",
			}
			for label, value := range tc.change {
				series[label] = value
			}
			assert.Equal(t, tc.want, foreign(labels.FromMap(series), runners, known))
		})
	}
}
