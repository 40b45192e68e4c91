// SPDX-License-Identifier: Apache-2.0

package arrival

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	requestTimeout = 10 * time.Second
	maxPage        = 64 << 20
)

// Collector is what a collector says about its delivery.
type Collector struct {
	URL string `json:"url"`
	// Delivered says that each exporter has delivered since the check began.
	Delivered bool       `json:"delivered"`
	Exporters []Exporter `json:"exporters,omitempty"`
	// Problem says why nothing was delivered, and what to do; empty where that is not known, or where all is well.
	Problem string `json:"problem,omitempty"`
}

// Exporter is one exporter of a collector that writes to a Prometheus. Counts are of samples.
type Exporter struct {
	ID string `json:"id"`
	// New are those that the receiver has acknowledged since the check began, Acknowledged all of them.
	New          uint64 `json:"new"`
	Acknowledged uint64 `json:"acknowledged"`
	// Backlog are those that are on disk and not delivered, BacklogAge the age of the oldest in seconds.
	Backlog    uint64  `json:"backlog"`
	BacklogAge float64 `json:"backlog_age_seconds"`
	// Refused are those that the receiver refused for good or did not take any more, Dropped those that are lost, NotAccepted
	// those that never got into the log or the queue. By reason.
	Refused     map[string]uint64 `json:"refused,omitempty"`
	Dropped     map[string]uint64 `json:"dropped,omitempty"`
	NotAccepted map[string]uint64 `json:"not_accepted,omitempty"`
	// Answers are the answers of the receiver since the check began, by status, "error" where there was none. Upstream's exporter
	// does not count them.
	Answers map[string]uint64 `json:"answers,omitempty"`
}

const durable = "otelcol_exporter_durable_remote_write_"

// stock are the types of upstream's exporter, by its present and its former name.
var stock = []string{"prometheus_remote_write", "prometheusremotewrite"}

// watch asks one collector again and again.
type watch struct {
	collector Collector
	// before is what its exporters had at the first answer.
	before map[string]Exporter
}

func newWatch(address string) *watch {
	return &watch{collector: Collector{URL: address}}
}

// ask reads the collector's page. It is done when every exporter has delivered since the first answer.
func (w *watch) ask(ctx context.Context) (done bool, err error) {
	now, err := read(ctx, w.collector.URL)
	if err != nil {
		return false, fmt.Errorf("the collector's own metrics cannot be read: %s: %w", redacted(w.collector.URL),
			explain(err, "its path is usually /metrics, its port 8888"))
	}
	if w.before == nil {
		w.before = map[string]Exporter{}
		for id := range now {
			w.before[id] = *now[id]
		}
	}
	c := &w.collector
	c.Exporters, c.Problem = nil, ""
	for id, e := range now {
		e.since(w.before[id])
		c.Exporters = append(c.Exporters, *e)
	}
	slices.SortFunc(c.Exporters, func(a, b Exporter) int { return strings.Compare(a.ID, b.ID) })
	c.Delivered = len(c.Exporters) > 0 && !slices.ContainsFunc(c.Exporters, func(e Exporter) bool { return e.New == 0 })
	if !c.Delivered {
		c.Problem = c.problem()
	}
	return c.Delivered, nil
}

// since makes differences of what counts from the beginning of the check.
func (e *Exporter) since(before Exporter) {
	e.New = e.Acknowledged
	if e.Acknowledged >= before.Acknowledged { // else it began anew
		e.New -= before.Acknowledged
	}
	all := e.Answers
	e.Answers = nil
	for status, n := range all {
		if earlier := before.Answers[status]; n >= earlier {
			n -= earlier
		}
		count(&e.Answers, status, n)
	}
}

// problem guesses why an exporter has not delivered, from the last answers.
func (c *Collector) problem() string {
	if len(c.Exporters) == 0 {
		return "there is no exporter that writes to a Prometheus among its metrics, or nothing was sent yet: is it the collector's own metrics?"
	}
	for i := range c.Exporters {
		e := &c.Exporters[i]
		if e.New > 0 {
			continue
		}
		for status := range e.Answers {
			if text := answerProblem(status); text != "" {
				return e.ID + ": " + text
			}
		}
		if len(e.Answers) == 0 && e.Backlog == 0 {
			return e.ID + ": nothing was scraped: does the collector see its targets, and does the scope keep any of their metrics?"
		}
	}
	return ""
}

func answerProblem(status string) string {
	switch status {
	case "error":
		return "the receiver gives no answer: look at REMOTE_WRITE_URL, DNS, certificates and the egress that a NetworkPolicy allows; the collector's log has the reason"
	case "401":
		return "the receiver answers 401: the credentials are missing or not accepted; what is scraped waits in the log"
	case "403":
		return "the receiver answers 403: the identity may not write there; on Azure it needs Monitoring Metrics Publisher on the data collection rule, which takes up to 30 minutes"
	case "404":
		return "the receiver answers 404: REMOTE_WRITE_URL has another path than the receiver"
	case "429":
		return "the receiver answers 429: it is above its limits; what is scraped waits in the log"
	}
	if len(status) == 3 && status[0] != '2' {
		return "the receiver answers " + status + ": the collector's log has its reason"
	}
	return ""
}

// read reads the page of a collector's own metrics.
func read(ctx context.Context, address string) (map[string]*Exporter, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	client := &http.Client{}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer func() { _ = response.Body.Close() }() // it only read
	if response.StatusCode != http.StatusOK {
		return nil, &statusError{response.StatusCode}
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(response.Body, maxPage))
	if err != nil {
		return nil, fmt.Errorf("it is not in the text format of Prometheus: %w", err)
	}
	return exporters(families), nil
}

// exporters are the exporters that a page speaks of, by ID.
func exporters(families map[string]*dto.MetricFamily) map[string]*Exporter {
	all := map[string]*Exporter{}
	each := func(name string, add func(e *Exporter, m *dto.Metric, n uint64)) {
		for _, m := range families[name].GetMetric() {
			id := label(m, "exporter")
			kind, _, _ := strings.Cut(id, "/")
			if !strings.HasPrefix(name, durable) && !slices.Contains(stock, kind) {
				continue
			}
			if all[id] == nil {
				all[id] = &Exporter{ID: id}
			}
			add(all[id], m, uint64(value(m)))
		}
	}
	acknowledged := func(e *Exporter, _ *dto.Metric, n uint64) { e.Acknowledged += n }
	each(durable+"acknowledged_samples_total", acknowledged)
	each(durable+"backlog_samples", func(e *Exporter, _ *dto.Metric, n uint64) { e.Backlog += n })
	each(durable+"backlog_age_seconds", func(e *Exporter, m *dto.Metric, _ uint64) { e.BacklogAge = value(m) })
	each(durable+"quarantined_samples_total", func(e *Exporter, m *dto.Metric, n uint64) { count(&e.Refused, label(m, "reason"), n) })
	each(durable+"expired_samples_total", func(e *Exporter, _ *dto.Metric, n uint64) { count(&e.Refused, "expired", n) })
	each(durable+"dropped_samples_total", func(e *Exporter, m *dto.Metric, n uint64) { count(&e.Dropped, label(m, "reason"), n) })
	each(durable+"refused_samples_total", func(e *Exporter, m *dto.Metric, n uint64) { count(&e.NotAccepted, label(m, "reason"), n) })
	each(durable+"requests_total", func(e *Exporter, m *dto.Metric, n uint64) { count(&e.Answers, label(m, "status"), n) })
	each("otelcol_exporter_sent_metric_points_total", acknowledged)
	each("otelcol_exporter_send_failed_metric_points_total", func(e *Exporter, _ *dto.Metric, n uint64) { count(&e.Dropped, "send_failed", n) })
	each("otelcol_exporter_enqueue_failed_metric_points_total", func(e *Exporter, _ *dto.Metric, n uint64) { count(&e.NotAccepted, "queue_full", n) })
	return all
}

// count adds to a reason; what has never happened is left out.
func count(counts *map[string]uint64, reason string, n uint64) {
	if n == 0 {
		return
	}
	if *counts == nil {
		*counts = map[string]uint64{}
	}
	(*counts)[reason] += n
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// value is the number of a counter, a gauge or an untyped metric: only one of them is set. What cannot be a number of samples is 0.
func value(m *dto.Metric) float64 {
	v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
	if v > 0 && v < math.MaxInt64 {
		return v
	}
	return 0
}

// withoutURL takes the address out of an error of net/http: it is said already, and may hold a password.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the address"
	}
	return u.Redacted()
}
