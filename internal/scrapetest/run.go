// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"time"
	"unsafe"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver"
	commonconfig "github.com/prometheus/common/config"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.opentelemetry.io/collector/component"

	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

// reloadInterval is how long after its start the receiver acts on what discovery has found: the default of Prometheus's
// scrape.Manager.
const reloadInterval = 5 * time.Second

// maxTime bounds what a run may last, in virtual time.
const maxTime = 7 * 24 * time.Hour

// Engine runs configurations. It is safe for concurrent use, and remembers what discovery found.
type Engine struct {
	clock      virtualtime.Clock
	discoverer discoverer
}

// New returns an engine whose runs have the time of clock.
func New(clock virtualtime.Clock) *Engine { return &Engine{clock: clock} }

// Run runs a configuration on a scene until the last of the given times after the first scrape, and returns what has been delivered
// by then. Samples of a scrape at one of the times are in. Without times it is one interval long.
//
// An error says what could not be run. That discovery asked for what the Role does not allow is a *ForbiddenError.
func (e *Engine) Run(ctx context.Context, c *Config, s *scene.Scene, times ...time.Duration) (*Result, error) {
	r, err := e.prepare(ctx, c, s)
	if err != nil {
		return nil, err
	}
	defer r.proxy.close()
	if len(times) == 0 {
		times = []time.Duration{c.LongestInterval()}
	}
	r.times = slices.Compact(slices.Sorted(slices.Values(times)))
	if first, last := r.times[0], r.times[len(r.times)-1]; first < 0 || last > maxTime {
		return nil, fmt.Errorf("a run from %s to %s: times are from 0 to %s after the first scrape", first, last, maxTime)
	}
	return r.run(ctx)
}

// prepare discovers what there is in each state of a scene. The proxy of what it returns has to be closed.
func (e *Engine) prepare(ctx context.Context, c *Config, s *scene.Scene) (_ *run, err error) {
	jobs := c.Jobs()
	p, err := startProxy()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	r := &run{engine: e, config: c, scene: s, jobs: jobs, proxy: p, drops: map[time.Duration]map[string]int64{}}
	p.state.Store(&s.States[0])
	for i := range s.States {
		groups, err := e.discoverer.discover(ctx, jobs, s, &s.States[i], p.url)
		if err != nil {
			return nil, err
		}
		targets := targetsOf(jobs, groups)
		if err := checkSize(targets, &s.States[i]); err != nil {
			return nil, err
		}
		r.found = append(r.found, groups)
		r.targets = append(r.targets, snapshot{s.States[i].At, targets})
	}
	return r, nil
}

// run runs receivers, processors and translations.
func (r *run) run(ctx context.Context) (_ *Result, err error) {
	for i := range r.config.pipelines {
		p := &r.config.pipelines[i]
		translation, failed := r.config.newTranslation(p, &r.delivered)
		if failed != nil {
			return nil, fmt.Errorf("service::pipelines::%s: %w", p.id, failed)
		}
		defer func() { err = errors.Join(err, translation.release()) }()
		r.sinks = append(r.sinks, &sink{pipeline: p.id, translation: translation})
	}
	var failed error
	if err := r.engine.clock.Run(func() { failed = r.inBubble(ctx) }); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	res := r.result()
	res.Notes = append(res.Notes, r.timeNotes()...)
	return res, nil
}

// maxRound bounds what all targets expose at once, in bytes. As pdata it takes some thirty times as much memory.
const maxRound = 64 << 20

// checkSize adds up the pages of all targets: they are scraped at the same time.
func checkSize(targets []Target, state *scene.State) error {
	var all int64
	for i := range targets {
		if !targets[i].Kept() {
			continue
		}
		if page, found := pageOf(state, targets[i].URL); found {
			all += page.Unpacked
		}
	}
	if all > maxRound {
		return fmt.Errorf("the targets of the scene expose %d MiB at once, and %d MiB can be run: use smaller pages or fewer targets", all>>20, maxRound>>20)
	}
	return nil
}

// pageOf is the answer to a URL. found is false where nothing of the scene listens, and for what is no URL.
func pageOf(state *scene.State, address string) (page scene.Page, found bool) {
	u, err := url.Parse(address)
	if err != nil {
		return scene.Page{}, false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return state.Page(u.Hostname(), port, u.RequestURI())
}

// run is one run.
type run struct {
	engine  *Engine
	config  *Config
	scene   *scene.Scene
	jobs    []Job
	proxy   *proxy
	found   []found    // by state
	targets []snapshot // by state
	times   []time.Duration

	sinks     []*sink // by pipeline
	delivered collection
	drops     map[time.Duration]map[string]int64 // by time and reason
}

// inBubble runs receivers and processors.
func (r *run) inBubble(outside context.Context) (err error) {
	// What ends the run from outside must not reach into the bubble: it is looked at between the moments.
	ctx, cancel := context.WithCancel(context.WithoutCancel(outside))
	defer cancel()
	time.Sleep(time.Until(r.scene.Start.Add(-reloadInterval)))

	for _, s := range r.sinks {
		if err := s.translation.open(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.finish(ctx)) }()
	}
	running, err := r.build(ctx)
	defer func() { err = errors.Join(err, running.stop()) }()
	if err != nil {
		return err
	}
	r.publish(ctx, running, 0)
	for _, at := range r.moments() {
		time.Sleep(time.Until(r.scene.Start.Add(at)))
		if state := slices.IndexFunc(r.scene.States, func(s scene.State) bool { return s.At == at }); state > 0 {
			r.proxy.state.Store(&r.scene.States[state])
			r.publish(ctx, running, state)
		}
		virtualtime.Settle()
		if err := r.broken(outside); err != nil {
			return err
		}
		if slices.Contains(r.times, at) {
			if r.drops[at], err = running.drops(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// broken is the reason for ending early.
func (r *run) broken(ctx context.Context) error {
	errs := []error{ctx.Err()}
	for _, s := range r.sinks {
		errs = append(errs, s.failed())
	}
	return errors.Join(errs...)
}

// moments are the times at which something has to be done, in order.
func (r *run) moments() []time.Duration {
	last := r.times[len(r.times)-1]
	all := slices.DeleteFunc(append(r.scene.Times(), r.times...), func(t time.Duration) bool { return t > last })
	slices.Sort(all)
	return slices.Compact(all)
}

// publish tells the receivers what has changed with a state.
func (r *run) publish(ctx context.Context, running *running, state int) {
	for key, f := range running.feeds {
		now := r.found[state][key]
		if state > 0 {
			before := r.found[state-1][key]
			if reflect.DeepEqual(before, now) {
				continue
			}
			// A group that is gone is told of as one without targets.
			for _, old := range before {
				if !slices.ContainsFunc(now, func(g *targetgroup.Group) bool { return g.Source == old.Source }) {
					now = append(slices.Clone(now), &targetgroup.Group{Source: old.Source})
				}
			}
		}
		f.send(ctx, now)
	}
}

// divert makes a receiver find its targets through feeds, and reach them through the proxy.
func (r *run) divert(id component.ID, cfg *prometheusreceiver.Config, feeds map[jobKey]*feed) error {
	for _, sc := range cfg.PrometheusConfig.ScrapeConfigs {
		f := newFeed()
		feeds[jobKey{id.String(), sc.JobName}] = f
		sc.ServiceDiscoveryConfigs = discovery.Configs{&feedConfig{ID: f.id}}
		sc.HTTPClientConfig = throughProxy(r.proxy.url)
	}
	cfg.DiscoveryReloadOnStartup, cfg.InitialScrapeOffset, cfg.ScrapeOnShutdown = false, 0, false
	cfg.APIServer.Enabled = false
	return setForTests(cfg, "skipOffsetting")
}

// setForTests sets a field of upstream's that only its own tests can set. With the ones that are set here every target is scraped for
// the first time at once; else the time would depend on the name of the machine.
func setForTests(of any, name string) error {
	field := reflect.ValueOf(of).Elem().FieldByName(name)
	if !field.IsValid() || field.Kind() != reflect.Bool {
		return fmt.Errorf("%T has no field %s any more: scrapes would not be at the same times in every run", of, name)
	}
	reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().SetBool(true) //nolint:gosec // the field is not exported
	return nil
}

// forget takes out of a job what it needs to reach its targets and what a scene has not got.
func forget(sc *promconfig.ScrapeConfig) {
	sc.HTTPClientConfig = commonconfig.DefaultHTTPClientConfig
	for _, cfg := range sc.ServiceDiscoveryConfigs {
		if k, isKubernetes := cfg.(*kubernetes.SDConfig); isKubernetes {
			k.HTTPClientConfig = commonconfig.DefaultHTTPClientConfig
		}
	}
}

func throughProxy(proxyURL *url.URL) commonconfig.HTTPClientConfig {
	cfg := commonconfig.DefaultHTTPClientConfig
	cfg.ProxyConfig = commonconfig.ProxyConfig{ProxyURL: commonconfig.URL{URL: proxyURL}}
	cfg.TLSConfig.InsecureSkipVerify = true
	cfg.EnableHTTP2 = false
	return cfg
}
