// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

const (
	// liveTimeout bounds one question to a collector or to a target.
	liveTimeout = 5 * time.Second
	// maxAnswer bounds what a collector or a target answers, in bytes.
	maxAnswer = 64 << 20
	// maxFetched is how many targets are asked for their pages, maxAtOnce how many at the same time.
	maxFetched = 500
	maxAtOnce  = 8
	// runnerPoints is what a runner processor counts, by decision, reason and component. Its metric may end in _total as well.
	runnerPoints = "otelcol_processor_runner_points"
)

// acceptText asks for what a person can read in a page.
const acceptText = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"

// collected is what running collectors say.
type collected struct {
	config  []byte // as YAML, of the receiver
	from    string // the address that said so
	active  []*liveTarget
	dropped []liveTarget
	// points are the runner processor's by reason; nil where no address has them.
	points map[string]float64
}

// liveTarget is a target in the API of Prometheus (web/api/v1).
type liveTarget struct {
	DiscoveredLabels   labels.Labels `json:"discoveredLabels"`
	Labels             labels.Labels `json:"labels"`
	ScrapePool         string        `json:"scrapePool"`
	ScrapeURL          string        `json:"scrapeUrl"`
	LastError          string        `json:"lastError"`
	LastScrape         time.Time     `json:"lastScrape"`
	LastScrapeDuration float64       `json:"lastScrapeDuration"`
	Health             string        `json:"health"`
}

// Live explains what a running collector has found, from the addresses of its receivers' api_server and of its own metrics. The
// pages are those that its targets answer now. Without a file the receiver's own configuration is taken, and what comes behind
// the scrape is not known; env is for the file.
func Live(ctx context.Context, engine *scrapetest.Engine, file *configfile.File, env map[string]string, addresses []string, o Options) (*Explanation, error) {
	all, err := ask(ctx, addresses)
	if err != nil {
		return nil, err
	}
	var notes []string
	if file == nil {
		notes = append(notes, "what comes behind the receiver is not known without the collector's configuration: give it as FILE")
		if file, err = configfile.Parse(all.from+"/api/v1/status/config", all.config); err != nil {
			return nil, fmt.Errorf("the configuration that the collector shows: %w", err)
		}
	}
	c, err := scrapetest.Load(file, env)
	if err != nil {
		return nil, err
	}
	spec := all.scene(c.Jobs(), env)
	if n := len(all.active); n > maxFetched {
		notes = append(notes, fmt.Sprintf("only the first %d of %d targets are asked for their pages", maxFetched, n))
	}
	spec.Pages = fetchPages(ctx, all.active)
	s, err := spec.Load("")
	if err != nil {
		return nil, err
	}
	e, err := newExplainer(ctx, engine, c, s, 0)
	if err != nil {
		return nil, err
	}
	e.live = all.byLabels()
	notes = append(notes, e.compare()...)
	out, err := e.explain(ctx, o)
	if err != nil {
		return nil, err
	}
	out.At = "now"
	out.Notes = append(append(out.Notes, notes...), all.counted())
	return out, nil
}

// ask asks every address for everything.
func ask(ctx context.Context, addresses []string) (*collected, error) {
	all := &collected{}
	var failures []string
	found := false
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("--collector %q is no address: write one such as http://127.0.0.1:9090", show(address))
		}
		base := u.Scheme + "://" + u.Host
		if err := all.askTargets(ctx, base); err != nil {
			failures = append(failures, fmt.Sprintf("%s: %s", base, err))
		} else {
			found = true
		}
		if body, status, err := get(ctx, base+"/metrics", acceptText); err == nil && status == http.StatusOK {
			all.readPoints(body)
		}
	}
	if !found {
		return nil, fmt.Errorf("no address answers /api/v1/targets (%s): set receivers::prometheus::api_server::enabled: true, and give the address under server_config::endpoint there",
			strings.Join(failures, "; "))
	}
	slices.SortFunc(all.active, func(a, b *liveTarget) int {
		return cmp.Or(cmp.Compare(a.ScrapePool, b.ScrapePool), cmp.Compare(a.ScrapeURL, b.ScrapeURL), labels.Compare(a.DiscoveredLabels, b.DiscoveredLabels))
	})
	return all, nil
}

func (all *collected) askTargets(ctx context.Context, base string) error {
	var targets struct {
		Data struct {
			ActiveTargets  []*liveTarget `json:"activeTargets"`
			DroppedTargets []liveTarget  `json:"droppedTargets"`
		} `json:"data"`
	}
	if err := getJSON(ctx, base+"/api/v1/targets?state=any", &targets); err != nil {
		return err
	}
	var config struct {
		Data struct {
			YAML string `json:"yaml"`
		} `json:"data"`
	}
	if err := getJSON(ctx, base+"/api/v1/status/config", &config); err != nil {
		return err
	}
	if all.config == nil {
		all.config, all.from = []byte(config.Data.YAML), base
	}
	all.active = append(all.active, targets.Data.ActiveTargets...)
	all.dropped = append(all.dropped, targets.Data.DroppedTargets...)
	return nil
}

func getJSON(ctx context.Context, address string, into any) error {
	body, status, err := get(ctx, address, "application/json")
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s answers %d %s", address, status, http.StatusText(status))
	}
	if err := json.Unmarshal(body.text, into); err != nil {
		return fmt.Errorf("%s answers what is not Prometheus's API: %w", address, err)
	}
	return nil
}

type answer struct {
	text        []byte
	contentType string
}

func get(ctx context.Context, address, accept string) (answer, int, error) {
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return answer{}, 0, err
	}
	request.Header.Set("Accept", accept)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) { // the address is known
			err = failed.Err
		}
		return answer{}, 0, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return answer{}, 0, err
	}
	if len(body) > maxAnswer {
		return answer{}, 0, fmt.Errorf("the answer has more than %d MiB", maxAnswer>>20)
	}
	return answer{body, response.Header.Get("Content-Type")}, response.StatusCode, nil
}

// readPoints adds up what runner processors have dropped, if the page is the collector's own.
func (all *collected) readPoints(page answer) {
	parser, _ := textparse.New(page.text, page.contentType, labels.NewSymbolTable(), textparse.ParserOptions{FallbackContentType: "text/plain"})
	if parser == nil {
		return
	}
	for {
		entry, err := parser.Next()
		if err != nil { // the end, or no page of metrics
			return
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var ls labels.Labels
		parser.Labels(&ls)
		if strings.TrimSuffix(ls.Get(model.MetricNameLabel), "_total") != runnerPoints {
			continue
		}
		if all.points == nil {
			all.points = map[string]float64{}
		}
		if ls.Get("decision") == "dropped" {
			_, _, n := parser.Series()
			all.points[ls.Get("reason")] += n
		}
	}
}

// counted is a note on what the collector has dropped so far.
func (all *collected) counted() string {
	if all.points == nil {
		return "what the collector has dropped so far is not known: give --collector again with the address of its own metrics (service::telemetry::metrics::readers, port 8888)"
	}
	counts := map[string]int{}
	for reason, n := range all.points {
		counts[reason] = int(n)
	}
	var parts []string
	for _, l := range sortedLost(counts) {
		parts = append(parts, fmt.Sprintf("%s %d", l.Reason, l.Count))
	}
	if len(parts) == 0 {
		return "the collector's runner processor has dropped nothing so far"
	}
	return "points that the collector's runner processor has dropped since it started: " + show(strings.Join(parts, ", "))
}

// scene is the collector's targets in place of discovery.
func (all *collected) scene(jobs []scrapetest.Job, env map[string]string) *scene.Spec {
	spec := &scene.Spec{Env: env, Start: time.Now().UTC().Truncate(time.Second), Targets: map[string][]scene.TargetGroup{}}
	for _, j := range jobs {
		spec.Targets[j.Name] = nil
	}
	add := func(t *liveTarget) {
		group := scene.TargetGroup{Labels: t.DiscoveredLabels.Map()}
		address := group.Labels["__address__"]
		if address == "" {
			return
		}
		delete(group.Labels, "__address__")
		group.Targets = []string{address}
		spec.Targets[t.ScrapePool] = append(spec.Targets[t.ScrapePool], group)
	}
	for _, t := range all.active {
		add(t)
	}
	for i := range all.dropped {
		add(&all.dropped[i])
	}
	return spec
}

func (all *collected) byLabels() map[string]*liveTarget {
	byLabels := map[string]*liveTarget{}
	for _, t := range all.active {
		byLabels[liveKey(t.ScrapePool, t.DiscoveredLabels)] = t
	}
	return byLabels
}

func liveKey(job string, discovered labels.Labels) string {
	return job + "\x00" + string(discovered.Bytes(nil))
}

// fetchPages asks targets for their pages. One that does not answer has none.
func fetchPages(ctx context.Context, targets []*liveTarget) map[string]scene.PageSpec {
	pages := map[string]scene.PageSpec{}
	var (
		mu   sync.Mutex // guards pages
		wg   sync.WaitGroup
		free = make(chan struct{}, maxAtOnce)
	)
	for _, t := range targets[:min(len(targets), maxFetched)] {
		key, ok := pageKey(t.ScrapeURL)
		if !ok {
			continue
		}
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			body, status, err := get(ctx, t.ScrapeURL, acceptText)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			pages[key] = scene.PageSpec{Text: string(body.text), ContentType: cmp.Or(body.contentType, "text/plain"), Status: status}
		})
	}
	wg.Wait()
	return pages
}

// pageKey is how a scene names the page of a URL.
func pageKey(address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "", false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port) + u.RequestURI(), true
}

// compare says where the configuration does not give what the collector shows: it runs another one.
func (e *explainer) compare() []string {
	var different []string
	for i := range e.kept {
		t := &e.kept[i].Target
		live := e.live[liveKey(t.Job, t.Discovered)]
		switch {
		case live == nil && t.Kept():
			different = append(different, nameOf(t)+" of "+t.Job+", which the collector drops")
		case live != nil && t.DroppedBy >= 0:
			different = append(different, nameOf(t)+" of "+t.Job+", which the collector scrapes")
		case live != nil && t.Kept() && !labels.Equal(live.Labels, t.Labels):
			different = append(different, nameOf(t)+" of "+t.Job+", which has other labels in the collector")
		}
	}
	if len(different) == 0 {
		return nil
	}
	slices.Sort(different)
	return []string{fmt.Sprintf("the collector runs another configuration than %s: they differ in %s, such as %s", e.file.Name, counted(len(different), "target", "targets"), different[0])}
}

// lastScrape is what the collector says of its own last scrape.
func (t *liveTarget) lastScrape() Step {
	step := Step{Stage: StageScrape, Name: "the collector's last scrape", Facts: []Fact{{"health", t.Health}}}
	if !t.LastScrape.IsZero() {
		step.Facts = append(step.Facts, Fact{"at", t.LastScrape.UTC().Format(time.RFC3339)}, Fact{"took", fmt.Sprintf("%.0f ms", t.LastScrapeDuration*1000)})
	}
	if t.LastError != "" {
		step.Facts = append(step.Facts, Fact{"error", show(t.LastError)})
	}
	return step
}
