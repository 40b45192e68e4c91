// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	// receiverScope is the scope that the Prometheus receiver gives to what a target exposes without a scope.
	receiverScope = "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver"

	metadataType = "prometheus.type" // where the receiver leaves the type that a target gave a metric
	typeInfo     = "info"
	suffixInfo   = "_info"
	scopePrefix  = "otel_scope_"
)

// restore undoes what the receiver does to names and labels, so that rules apply to what the target exposes and what is stored:
// labels otel_scope_* have become the scope, and info metrics have lost their suffix
// (contrib receiver/prometheusreceiver/internal/transaction.go, getScopeID, and metadata.go, metadataForMetric). It reports whether
// points have got labels, which are behind the others. What is pushed may say that it was scraped; it loses its scope instead: a few bytes
// of scope could become labels of a million points.
func restore(rm pmetric.ResourceMetrics, pushed bool) (labelled bool) {
	for i := range rm.ScopeMetrics().Len() {
		sm := rm.ScopeMetrics().At(i)
		here := false
		own := sm.Scope().Name() != receiverScope || sm.Scope().Attributes().Len() > 0
		for j := range sm.Metrics().Len() {
			m := sm.Metrics().At(j)
			if !own && (m.Type() != pmetric.MetricTypeSum || m.Sum().IsMonotonic()) {
				continue
			}
			promType := get(m.Metadata(), metadataType)
			if promType == typeInfo && !strings.HasSuffix(m.Name(), suffixInfo) {
				m.SetName(m.Name() + suffixInfo)
			}
			if !own || promType == "" {
				continue
			}
			here = true
			if !pushed {
				labelled = true
				eachPoint(m, func(pt point) { putScope(pt.attrs, sm) })
			}
		}
		if own && here {
			sm.Scope().SetName(receiverScope)
			sm.Scope().SetVersion("")
			sm.Scope().Attributes().Clear()
			sm.SetSchemaUrl("")
		}
	}
	return labelled
}

// putScope gives a point the labels of its scope.
func putScope(attrs pcommon.Map, sm pmetric.ScopeMetrics) {
	attrs.EnsureCapacity(attrs.Len() + sm.Scope().Attributes().Len() + 3)
	for name, v := range sm.Scope().Attributes().All() {
		attrs.PutStr(scopePrefix+name, asString(v))
	}
	for _, l := range []label{{"name", sm.Scope().Name()}, {"version", sm.Scope().Version()}, {"schema_url", sm.SchemaUrl()}} {
		if l.value != "" {
			attrs.PutStr(scopePrefix+l.name, l.value)
		}
	}
}
