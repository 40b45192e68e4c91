// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/discovery"
	httpsd "github.com/prometheus/prometheus/discovery/http"
	"github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.yaml.in/yaml/v3"
	"k8s.io/klog/v2"

	"github.com/kubiyabot/otelcol-runner/internal/kubeapi"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
)

const (
	// discoveryTimeout is how long kubernetes_sd has to find every object of a cluster.
	discoveryTimeout = 30 * time.Second
	// answerTimeout is how long another mechanism has for its first answer, which may come from a network.
	answerTimeout = 5 * time.Second
)

// found is what the discovery of all jobs found in one state, by receiver and job.
type found map[jobKey][]*targetgroup.Group

type jobKey struct{ receiver, job string }

// discoverer runs discovery, and remembers what the same configuration found in the same cluster: a relabel rule changes nothing
// of it. It is safe for concurrent use.
type discoverer struct {
	mu      sync.Mutex // guards answers
	answers map[answerKey]func() ([]*targetgroup.Group, error)
}

type answerKey struct {
	cluster *kubeapi.Cluster
	config  string // as YAML
}

// discover runs the discovery of all jobs in one state.
func (d *discoverer) discover(ctx context.Context, jobs []Job, s *scene.Scene, state *scene.State, proxyURL *url.URL) (found, error) {
	all := found{}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex // guards all and errs
		errs []error
	)
	for _, job := range jobs {
		key := jobKey{job.Receiver, job.Name}
		if groups, replaced := state.Targets[job.Name]; replaced {
			all[key] = groups
			continue
		}
		mu.Lock()
		all[key] = []*targetgroup.Group{}
		mu.Unlock()
		for i, cfg := range job.Scrape.ServiceDiscoveryConfigs {
			wg.Go(func() {
				groups, err := d.one(ctx, cfg, s, state, proxyURL)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					errs = append(errs, fmt.Errorf("job %s, %s_sd_configs: %w", job.Name, cfg.Name(), err))
					return
				}
				// Two mechanisms of one job may give their groups the same name.
				for _, g := range groups {
					named := *g
					if cfg.Name() == "static" {
						named.Source = fmt.Sprintf("static_configs[%s]", g.Source)
					}
					named.Source = fmt.Sprintf("%d/%s", i, named.Source)
					all[key] = append(all[key], &named)
				}
			})
		}
	}
	wg.Wait()
	if len(errs) > 0 {
		slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return nil, errors.Join(errs...)
	}
	for _, groups := range all {
		slices.SortStableFunc(groups, func(a, b *targetgroup.Group) int { return strings.Compare(a.Source, b.Source) })
	}
	return all, nil
}

func (d *discoverer) one(ctx context.Context, cfg discovery.Config, s *scene.Scene, state *scene.State, proxyURL *url.URL) ([]*targetgroup.Group, error) {
	switch cfg := cfg.(type) {
	case discovery.StaticConfig:
		return cfg, nil
	case *kubernetes.SDConfig:
		text, err := yaml.Marshal(cfg)
		if err != nil {
			return nil, err
		}
		return d.remembered(answerKey{state.Cluster, string(text)}, func() ([]*targetgroup.Group, error) {
			return discoverKubernetes(ctx, cfg, s, state.Cluster)
		})
	default:
		return discoverOther(ctx, cfg, state, proxyURL)
	}
}

func (d *discoverer) remembered(key answerKey, find func() ([]*targetgroup.Group, error)) ([]*targetgroup.Group, error) {
	d.mu.Lock()
	answer, ok := d.answers[key]
	if !ok {
		answer = sync.OnceValues(find)
		if d.answers == nil {
			d.answers = map[answerKey]func() ([]*targetgroup.Group, error){}
		}
		d.answers[key] = answer
	}
	d.mu.Unlock()
	return answer()
}

// ForbiddenError says that discovery asked for what the Role does not allow.
type ForbiddenError struct {
	// Denials are what was refused, once for each resource and namespace.
	Denials []kubeapi.Denial
}

func (e *ForbiddenError) Error() string {
	texts := make([]string, 0, len(e.Denials))
	for i := range e.Denials {
		d := &e.Denials[i]
		texts = append(texts, fmt.Sprintf("%s %s: %s: %s", d.Request.Method, d.Request.Path, d.Message, d.Remedy))
	}
	return strings.Join(texts, "; ")
}

// api is the API server of a cluster that tells when it has refused something.
type api struct {
	*kubeapi.Server
	denied chan struct{}
	once   sync.Once
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.Server.ServeHTTP(&statusWriter{ResponseWriter: w, api: a}, r)
}

type statusWriter struct {
	http.ResponseWriter
	api *api
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if status == http.StatusForbidden {
		w.api.once.Do(func() { close(w.api.denied) })
	}
	w.ResponseWriter.WriteHeader(status)
}

// Flush implements http.Flusher, for a watch.
func (w *statusWriter) Flush() {
	if flusher, ok := w.ResponseWriter.(http.Flusher); ok {
		flusher.Flush()
	}
}

// silenceClient keeps the Kubernetes client from writing to standard error what it is refused: the run's error says that, with the remedy.
var silenceClient = sync.OnceFunc(func() { klog.SetSlogLogger(discardLogger) })

// discoverKubernetes runs kubernetes_sd against the cluster's API until every object has been seen.
func discoverKubernetes(ctx context.Context, cfg *kubernetes.SDConfig, s *scene.Scene, cluster *kubeapi.Cluster) ([]*targetgroup.Group, error) {
	silenceClient()
	api := &api{Server: kubeapi.NewServer(cluster), denied: make(chan struct{})}
	server := httptest.NewServer(api)
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer func() {
		cancel()
		// A watch lasts until its client goes.
		server.CloseClientConnections()
		server.Close()
	}()
	address, err := url.Parse(server.URL)
	if err != nil {
		return nil, err
	}
	changed := *cfg
	changed.APIServer, changed.KubeConfig = commonconfig.URL{URL: address}, ""
	changed.HTTPClientConfig = commonconfig.DefaultHTTPClientConfig
	if changed.NamespaceDiscovery.IncludeOwnNamespace { // the file that says which is the pod's
		changed.NamespaceDiscovery.IncludeOwnNamespace = false
		changed.NamespaceDiscovery.Names = append(slices.Clone(changed.NamespaceDiscovery.Names), s.Namespace)
	}
	metrics, unregister, err := discovererMetrics(&changed)
	if err != nil {
		return nil, err
	}
	defer unregister()
	k, err := changed.NewDiscoverer(discovery.DiscovererOptions{Logger: discardLogger, Metrics: metrics})
	if err != nil {
		return nil, err
	}
	var label, field string
	for _, selector := range changed.Selectors {
		if selector.Role == changed.Role {
			label, field = selector.Label, selector.Field
		}
	}
	want, err := cluster.Discoverable(string(changed.Role), changed.NamespaceDiscovery.Names, label, field)
	if err != nil {
		return nil, fmt.Errorf("the API server refuses its selectors: %w: correct them", err)
	}
	groups := map[string]*targetgroup.Group{}
	err = collect(ctx, k, api.denied, func(sent []*targetgroup.Group) bool {
		for _, g := range sent {
			groups[g.Source] = g
		}
		return len(groups) >= want
	}, want == 0)
	if denied := api.Forbidden(); len(denied) > 0 {
		return nil, &ForbiddenError{Denials: denied}
	}
	if err != nil {
		return nil, fmt.Errorf("%d of %d objects were found: %w", len(groups), want, err)
	}
	all := make([]*targetgroup.Group, 0, len(groups))
	for _, g := range groups {
		all = append(all, g)
	}
	return all, nil
}

// discoverOther runs a mechanism that tells all that it knows at once: http, file, dns.
func discoverOther(ctx context.Context, cfg discovery.Config, state *scene.State, proxyURL *url.URL) ([]*targetgroup.Group, error) {
	if h, isHTTP := cfg.(*httpsd.SDConfig); isHTTP {
		if _, inScene := pageOf(state, h.URL); inScene {
			changed := *h
			changed.HTTPClientConfig = throughProxy(proxyURL)
			cfg = &changed
		}
	}
	metrics, unregister, err := discovererMetrics(cfg)
	if err != nil {
		return nil, err
	}
	defer unregister()
	d, err := cfg.NewDiscoverer(discovery.DiscovererOptions{Logger: discardLogger, Metrics: metrics})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var groups []*targetgroup.Group
	if err := collect(ctx, d, nil, func(sent []*targetgroup.Group) bool {
		groups = append(groups, sent...)
		return true
	}, false); errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("nothing was found in %s: give its targets under scene::targets, [] for none", answerTimeout)
	} else if err != nil {
		return nil, fmt.Errorf("nothing was found: %w: give its targets under scene::targets, [] for none", err)
	}
	return groups, nil
}

// collect runs a discoverer until enough says so, it is denied something, or the context ends.
func collect(ctx context.Context, d discovery.Discoverer, denied <-chan struct{}, enough func([]*targetgroup.Group) bool, nothing bool) error {
	ctx, cancel := context.WithCancel(ctx)
	sent := make(chan []*targetgroup.Group)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.Run(ctx, sent)
	}()
	defer func() {
		cancel()
		for {
			select {
			case <-sent:
			case <-ended:
				return
			}
		}
	}()
	if nothing {
		settle(ctx)
		return nil
	}
	for {
		select {
		case groups := <-sent:
			if enough(groups) {
				return nil
			}
		case <-denied:
			settle(ctx)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			return errors.New("discovery ended")
		}
	}
}

// settleTime is how long a discovery is watched that has no object to find, or that was denied something: it asks for everything at once.
const settleTime = 300 * time.Millisecond

func settle(ctx context.Context) {
	select {
	case <-time.After(settleTime):
	case <-ctx.Done():
	}
}

// discovererMetrics registers what a discoverer counts, with nobody to read it.
func discovererMetrics(cfg discovery.Config) (discovery.DiscovererMetrics, func(), error) {
	registry := prometheus.NewRegistry()
	refresh := discovery.NewRefreshMetrics(registry)
	metrics := cfg.NewDiscovererMetrics(registry, refresh)
	if err := errors.Join(refresh.Register(), metrics.Register()); err != nil {
		return nil, nil, err
	}
	return metrics, func() {
		metrics.Unregister()
		refresh.Unregister()
	}, nil
}
