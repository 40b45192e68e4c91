// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/demo/sample"
	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

// exported is the prefix that Prometheus gives to an exposed label when the scraper has a label of that name.
const exported = "exported_"

// audit is what the store holds.
type audit struct {
	// Samples and Series count everything that is stored, stale markers too.
	Samples, Series int64
	// Foreign are the series that are not the runner's.
	Foreign int64
	// ForeignExamples are a few of them, for the message.
	ForeignExamples []string
	// Spoofed are the series of the component that claims another identity; the claim is in exported_* only.
	Spoofed int64
	// Escaped are the series that show the claimed identity in any other label.
	Escaped int64
	// Leaked are the series with the token in them.
	Leaked int64
	// Native are the native histogram samples.
	Native int64
	// SpoofExample is the labels of one spoofed series.
	SpoofExample map[string]string
}

type seriesReader interface {
	Series(ctx context.Context, mint, maxt int64, matchers ...*labels.Matcher) iter.Seq2[prombackend.Series, error]
}

// auditStore reads every stored series with its samples.
func auditStore(ctx context.Context, store seriesReader) (audit, error) {
	var a audit
	for series, err := range store.Series(ctx, math.MinInt64, math.MaxInt64) {
		if err != nil {
			return audit{}, fmt.Errorf("the store cannot be read: %w", err)
		}
		a.add(series)
	}
	return a, nil
}

func (a *audit) add(series prombackend.Series) {
	a.Series++
	a.Samples += int64(len(series.Samples))
	for _, s := range series.Samples {
		if s.H != nil || s.FH != nil {
			a.Native++
		}
	}
	if isForeign(series.Labels) {
		a.Foreign++
		if len(a.ForeignExamples) < 3 {
			a.ForeignExamples = append(a.ForeignExamples, series.Labels.String())
		}
	}

	var spoofed, escaped, leaked bool
	series.Labels.Range(func(l labels.Label) {
		if l.Value == sample.SpoofedOrganization || l.Value == sample.SpoofedRunner {
			if strings.HasPrefix(l.Name, exported) {
				spoofed = true
			} else {
				escaped = true
			}
		}
		leaked = leaked || strings.Contains(l.Value, sample.FakeToken())
	})
	if spoofed {
		a.Spoofed++
		if a.SpoofExample == nil || series.Labels.Get(model.MetricNameLabel) == "http_requests_total" {
			a.SpoofExample = series.Labels.Map()
		}
	}
	if escaped {
		a.Escaped++
	}
	if leaked {
		a.Leaked++
	}
}

// isForeign holds for a series that does not carry the runner's identity, or comes from a component or a namespace
// that is not the runner's.
func isForeign(l labels.Labels) bool {
	for name, want := range map[string]string{
		"organization": organization, "runner": runnerName, "kubiya_type": runnerType, "namespace": namespace,
	} {
		if l.Get(name) != want {
			return true
		}
	}
	for _, name := range []string{"kubernetes_namespace", "exported_namespace"} {
		if value := l.Get(name); value != "" && value != namespace {
			return true
		}
	}
	return !slices.Contains(components(), l.Get("app"))
}

// components are those of the sample runner that may leave the cluster.
func components() []string {
	return []string{
		"agent-manager", "tool-manager", "workflow-engine", "kube-state-metrics",
		sample.ExplodingComponent, sample.SpoofingComponent, collectorComponent,
	}
}
