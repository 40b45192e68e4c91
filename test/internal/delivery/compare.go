// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

// Verdict is what a comparison found. The lists are whole; Print shortens them.
type Verdict struct {
	// Exposed are the samples in the ledger, owed or not, and Stored those of them that the backend has.
	Exposed, Stored int
	// Lost are owed samples that the backend does not have.
	Lost []string
	// Duplicated are stored samples beyond one of each exposure: in a second series, at another time, or of nobody.
	Duplicated []string
	// OutOfOrder are stored samples whose timestamps are not in the order in which they were exposed.
	OutOfOrder []string
	// Missing are the values, by series, of samples that are neither owed nor stored.
	Missing map[string][]float64
	// StaleMarkers were stored in the ledger's series. The collector adds them when a scrape fails.
	StaleMarkers int
}

// reports are the series that the Prometheus receiver adds to each scrape on its own account.
var reports = []string{
	"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added",
}

// Compare compares the stored series with the ledger.
func Compare(ledger *Ledger, stored iter.Seq2[prombackend.Series, error]) (Verdict, error) {
	ledger.mu.Lock()
	defer ledger.mu.Unlock()
	v := Verdict{Missing: map[string][]float64{}}
	seen := map[string]labels.Labels{}
	for series, err := range stored {
		if err != nil {
			return v, err
		}
		id := series.Labels.Get(IDLabel)
		exposures, known := ledger.series[id]
		first, twice := seen[id]
		switch {
		case id == "" && slices.Contains(reports, series.Labels.Get(model.MetricNameLabel)):
			continue
		case !known:
			v.surplus(series, "nobody exposed this series")
		case twice:
			v.surplus(series, fmt.Sprintf("the same series is stored as %s too", first))
		default:
			seen[id] = series.Labels
			v.compareSeries(id, exposures, series)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(ledger.series)) {
		exposures := ledger.series[id]
		v.Exposed += len(exposures)
		if _, found := seen[id]; !found {
			v.compareSeries(id, exposures, prombackend.Series{Labels: labels.FromStrings(IDLabel, id)})
		}
	}
	return v, nil
}

func (v *Verdict) surplus(series prombackend.Series, why string) {
	for _, s := range series.Samples {
		v.Duplicated = append(v.Duplicated, describe(series.Labels, s.T, s.F)+": "+why)
	}
}

func (v *Verdict) compareSeries(id string, exposures []Exposure, series prombackend.Series) {
	found := make([]bool, len(exposures))
	last := -1
	for _, s := range series.Samples {
		if value.IsStaleNaN(s.F) {
			v.StaleMarkers++
			continue
		}
		i := find(exposures, s.F)
		switch {
		case i < 0:
			v.Duplicated = append(v.Duplicated, describe(series.Labels, s.T, s.F)+": nobody exposed this value")
			continue
		case found[i]:
			v.Duplicated = append(v.Duplicated, describe(series.Labels, s.T, s.F)+": the same sample is stored at another time too")
			continue
		case s.T < exposures[i].T || s.T > exposures[i].T+int64(exposures[i].Width):
			v.Duplicated = append(v.Duplicated, describe(series.Labels, s.T, s.F)+": it was exposed at "+clock(exposures[i].T))
			continue
		case i < last:
			v.OutOfOrder = append(v.OutOfOrder, describe(series.Labels, s.T, s.F)+": a later exposure is stored before it")
		}
		found[i] = true
		last = max(last, i)
	}
	for i, e := range exposures {
		switch {
		case found[i]:
			v.Stored++
		case e.Owed:
			v.Lost = append(v.Lost, describe(series.Labels, e.T, e.V))
		default:
			v.Missing[id] = append(v.Missing[id], e.V)
		}
	}
}

// Print writes the first findings of each kind, at most limit of them.
func (v Verdict) Print(w io.Writer, limit int) {
	for _, kind := range []struct {
		name     string
		findings []string
	}{{"lost", v.Lost}, {"duplicated", v.Duplicated}, {"out of order", v.OutOfOrder}} {
		printFindings(w, kind.name, kind.findings, limit)
	}
}

func printFindings(w io.Writer, name string, findings []string, limit int) {
	for i, finding := range findings {
		if i == limit {
			_, _ = fmt.Fprintf(w, "%s: ... and %d more\n", name, len(findings)-limit) // progress only
			return
		}
		_, _ = fmt.Fprintf(w, "%s: %s\n", name, finding)
	}
}

func describe(ls labels.Labels, t int64, v float64) string {
	return fmt.Sprintf("%s %v at %s", ls, v, clock(t))
}

func clock(t int64) string { return time.UnixMilli(t).UTC().Format("15:04:05.000") }
