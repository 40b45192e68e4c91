// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

var selectors = parser.NewParser(parser.Options{})

func parseSelector(flag, text string) ([]*labels.Matcher, error) {
	matchers, err := selectors.ParseMetricSelector(text)
	if err != nil {
		return nil, fmt.Errorf("%s %q is no selector: %w: write one as in PromQL, such as up{app=\"tool-manager\"}", flag, text, err)
	}
	return matchers, nil
}

// targets explains the targets that are called name, or that it selects.
func (e *explainer) targets(ctx context.Context, name string, out *Explanation) error {
	match := func(t *scrapetest.Target) bool { return slices.Contains(namesOf(t), name) }
	if strings.HasPrefix(name, "{") {
		matchers, err := parseSelector("--target", name)
		if err != nil {
			return err
		}
		match = func(t *scrapetest.Target) bool {
			return matchesAll(t.Discovered, matchers) || t.Labels.Len() > 0 && matchesAll(t.Labels, matchers)
		}
	}
	var found []int
	for i := range e.kept {
		if match(&e.kept[i].Target) {
			found = append(found, i)
		}
	}
	// Those first that got furthest: a pod is a target in several jobs, and most of them drop it.
	slices.SortStableFunc(found, func(a, b int) int { return e.progress(b) - e.progress(a) })
	for n, i := range found {
		if n >= maxWays {
			t := &e.kept[i].Target
			out.other(nameOf(t) + " of the job " + t.Job)
			continue
		}
		way, err := e.target(ctx, i)
		if err != nil {
			return err
		}
		out.Ways = append(out.Ways, *way)
	}
	if len(out.Ways) == 0 {
		var all []string
		for i := range e.kept {
			all = append(all, namesOf(&e.kept[i].Target)...)
		}
		out.Nearest = nearest(name, slices.DeleteFunc(all, func(n string) bool { return strings.Contains(n, "://") }))
		out.Notes = append(slices.Clone(out.Notes), e.untargeted(name)...)
	}
	return nil
}

// untargeted says of the jobs and pods that are called name why there is no target of them.
func (e *explainer) untargeted(name string) []string {
	var notes []string
	for key := range e.jobs {
		if key.name == name {
			notes = append(notes, "the job "+name+" finds no target in the scene at "+span(e.at))
			break
		}
	}
	for _, pod := range e.scene.At(e.at).Cluster.Pods() {
		full := "pod/" + pod.Namespace + "/" + pod.Name
		if !slices.Contains([]string{full, "pod/" + pod.Name, pod.Name, pod.Status.PodIP}, name) {
			continue
		}
		if len(notes) == maxWays {
			return append(notes, "more pods are called that")
		}
		if pod.Status.PodIP == "" {
			notes = append(notes, fmt.Sprintf("%s is in the scene, but has no address (%s)", full, cmp.Or(pod.Status.Phase, corev1.PodPending)))
			continue
		}
		ports := ""
		if !slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return len(c.Ports) > 0 }) {
			ports = "; its containers name no port"
		}
		notes = append(notes, fmt.Sprintf("%s is in the scene with the address %s, but the discovery of no job finds it: look at their roles, namespaces and selectors%s", full, pod.Status.PodIP, ports))
	}
	return notes
}

// progress is how far a target got.
func (e *explainer) progress(i int) int {
	const all = 1 << 20 // more than rules
	s := &e.kept[i]
	switch {
	case s.Target.DroppedBy >= 0:
		return s.Target.DroppedBy
	case !s.Target.Kept():
		return all
	case s.Err != nil:
		return all + 1
	}
	return all + 2
}

func (e *Explanation) other(name string) {
	if len(e.Others) < maxOthers {
		e.Others = append(e.Others, name)
		return
	}
	e.MoreOthers++
}

func matchesAll(ls labels.Labels, matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if !m.Matches(ls.Get(m.Name)) {
			return false
		}
	}
	return true
}

// namesOf is what a target may be called, the most telling first.
func namesOf(t *scrapetest.Target) []string {
	address := t.Discovered.Get("__address__")
	names := []string{address}
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if host, _, err := net.SplitHostPort(address); err == nil {
		add(host)
	}
	if pod := t.Discovered.Get("__meta_kubernetes_pod_name"); pod != "" {
		add(pod)
		add("pod/" + pod)
	}
	if parts := strings.Split(t.Source, "/"); len(parts) == 3 { // kind/namespace/name
		add(t.Source)
		add(parts[0] + "/" + parts[2])
		add(parts[2])
	}
	add(t.Labels.Get("instance"))
	add(t.URL)
	add(t.Job)
	return names
}

// nameOf is what a target is called here: where it is scraped, or where it would be.
func nameOf(t *scrapetest.Target) string {
	if u, err := url.Parse(t.URL); err == nil && u.Host != "" {
		return show(u.Host)
	}
	return show(t.Discovered.Get("__address__"))
}

// target explains one target, by its index.
func (e *explainer) target(ctx context.Context, i int) (*Way, error) {
	s := &e.kept[i]
	t := &s.Target
	j := e.job(t)
	way := &Way{Kind: "target", Name: nameOf(t), Job: t.Job, Receiver: t.Receiver, Source: e.source(t)}
	way.Steps = append(way.Steps, e.discovery(t, j))

	trace := scrapetest.Trace(t.Discovered, j.Scrape.RelabelConfigs)
	var written []configfile.Rule
	if j.written != nil {
		written = j.written.Relabel()
	}
	way.Steps = append(way.Steps, e.ruleSteps(StageRelabel, trace, j.Scrape.RelabelConfigs, written)...)
	switch {
	case t.DroppedBy >= 0:
		last := &way.Steps[len(way.Steps)-1]
		way.Outcome, way.Reason = Dropped, sentence(last.Why)
		if !last.Ended || last.Rule == nil || last.Rule.Number != t.DroppedBy+1 {
			way.Outcome, way.Reason = Unclear, "It was dropped, but not by any of these rules when they are tried one by one."
		}
		return way, nil
	case t.Err != nil:
		way.Outcome, way.Reason = Invalid, sentence("what the rules leave cannot be scraped: "+show(t.Err.Error()))
		way.Steps = append(way.Steps, Step{Stage: StageScrape, Name: "refused", Ended: true, Why: show(t.Err.Error())})
		return way, nil
	}
	after := t.Discovered
	if len(trace) > 0 {
		after = trace[len(trace)-1].After
	}
	way.Steps = append(way.Steps, e.labelled(t, after, j))
	if t.Duplicate {
		way.Outcome = Duplicate
		way.Reason = "The job has another target with the same URL and the same labels: it is scraped once, and the series are those of both."
		last := &way.Steps[len(way.Steps)-1]
		last.Ended, last.Why = true, "the same URL and labels as another target of the job"
		return way, nil
	}
	way.Steps = append(way.Steps, e.answer(s, j))
	if live := e.live[liveKey(t.Job, t.Discovered)]; live != nil {
		way.Steps = append(way.Steps, live.lastScrape())
	}
	if s.Err != nil {
		way.Outcome, way.Reason = Failed, sentence("the scrape fails: "+show(s.Err.Error()))
		return way, nil
	}
	if err := e.delivery(ctx, i, way); err != nil {
		return nil, err
	}
	return way, nil
}

// source is the object that discovery took a target from. The scene's own targets have none.
func (e *explainer) source(t *scrapetest.Target) string {
	if _, replaced := e.scene.At(e.at).Targets[t.Job]; replaced {
		return ""
	}
	return t.Source
}

// discovery says where a target comes from.
func (e *explainer) discovery(t *scrapetest.Target, j *job) Step {
	step := Step{Stage: StageDiscovery, Name: "target", Labels: list(t.Discovered)}
	if _, replaced := e.scene.At(e.at).Targets[t.Job]; replaced {
		step.Name = "the scene's targets"
		if e.live != nil {
			step.Name = "the collector's targets"
		}
		return step
	}
	for _, cfg := range j.Scrape.ServiceDiscoveryConfigs {
		key := cfg.Name() + "_sd_configs"
		if _, static := cfg.(discovery.StaticConfig); static {
			key = "static_configs"
		}
		k, isKubernetes := cfg.(*kubernetes.SDConfig)
		// A job may have several mechanisms: what is found in the cluster is named kind/namespace/name.
		if isKubernetes != (strings.Count(t.Source, "/") == 2) {
			continue
		}
		step.Name = key
		if j.written != nil {
			step.Where = e.where(e.file.Pos(configfile.Key(j.written.Node, key)))
		}
		if isKubernetes {
			step.Facts = append(step.Facts, Fact{"object", t.Source})
			for _, request := range requests(k, e.scene.Namespace) {
				step.Facts = append(step.Facts, Fact{"request", request})
			}
		}
		break
	}
	return step
}

// requests are the lists that a role asks for, as Prometheus's discovery does (discovery/kubernetes).
func requests(k *kubernetes.SDConfig, own string) []string {
	namespaces := slices.Clone(k.NamespaceDiscovery.Names)
	if k.NamespaceDiscovery.IncludeOwnNamespace {
		namespaces = append(namespaces, own)
	}
	resources := map[kubernetes.Role][]string{
		kubernetes.RolePod: {"/api/v1/pods"}, kubernetes.RoleService: {"/api/v1/services"}, kubernetes.RoleNode: {"/api/v1/nodes"},
		kubernetes.RoleEndpoint:      {"/api/v1/endpoints", "/api/v1/services", "/api/v1/pods"},
		kubernetes.RoleEndpointSlice: {"/apis/discovery.k8s.io/v1/endpointslices", "/api/v1/services", "/api/v1/pods"},
		kubernetes.RoleIngress:       {"/apis/networking.k8s.io/v1/ingresses"},
	}[k.Role]
	var all []string
	for _, resource := range resources {
		if len(namespaces) == 0 || k.Role == kubernetes.RoleNode {
			all = append(all, "list and watch "+resource)
			continue
		}
		for _, namespace := range namespaces {
			cut := strings.LastIndexByte(resource, '/')
			all = append(all, "list and watch "+resource[:cut]+"/namespaces/"+namespace+resource[cut:])
		}
	}
	return all
}

// labelled shows what the rules left: the labels of each series, and how the target is scraped.
func (e *explainer) labelled(t *scrapetest.Target, after labels.Labels, j *job) Step {
	kept := labels.NewBuilder(after)
	after.Range(func(l labels.Label) {
		if strings.HasPrefix(l.Name, "__") {
			kept.Del(l.Name)
		}
	})
	step := Step{Stage: StageRelabel, Name: "result", Labels: list(t.Labels), Changes: diff(kept.Labels(), t.Labels), Facts: []Fact{{"URL", show(t.URL)}}}
	setting := func(name, label, fallback string) {
		if value := after.Get(label); value != "" {
			fallback = value
		}
		step.Facts = append(step.Facts, Fact{name, show(fallback)})
	}
	setting("interval", "__scrape_interval__", j.Scrape.ScrapeInterval.String())
	setting("timeout", "__scrape_timeout__", j.Scrape.ScrapeTimeout.String())
	return step
}

// answer shows a scrape.
func (e *explainer) answer(s *scrapetest.Scraped, j *job) Step {
	step := Step{Stage: StageScrape, Name: "answer"}
	if !s.Listening {
		step.Facts = append(step.Facts, Fact{"status", "no answer: nothing listens at " + show(s.Target.URL)})
	} else {
		step.Facts = append(step.Facts, Fact{"status", fmt.Sprintf("%d %s", s.Page.Status, http.StatusText(s.Page.Status))})
		if s.Page.Key != "" {
			step.Facts = append(step.Facts, Fact{"page", s.Page.Key})
		}
		step.Facts = append(step.Facts, Fact{"content type", s.Page.ContentType}, Fact{"size", fmt.Sprintf("%d bytes", len(s.Page.Body))})
	}
	if s.Err != nil {
		step.Ended, step.Why = true, show(s.Err.Error())
	}
	fact := func(name, report string) {
		step.Facts = append(step.Facts, Fact{name, fmt.Sprintf("%.0f", s.Report[report])})
	}
	fact("samples on the page", "scrape_samples_scraped")
	if len(j.Scrape.MetricRelabelConfigs) > 0 {
		fact("after metric_relabel_configs", "scrape_samples_post_metric_relabeling")
	}
	return step
}

// delivery follows the whole page of a target.
func (e *explainer) delivery(ctx context.Context, i int, way *Way) error {
	s := &e.kept[i]
	j := e.job(&s.Target)
	if dropped := e.droppedByRule(&e.exposed[i], j); len(dropped) > 0 {
		way.Steps = append(way.Steps, Step{Stage: StageMetric, Name: "metric_relabel_configs", Facts: dropped})
	}
	followed, err := e.engine.Follow(ctx, e.config, e.scene, e.at, &s.Target, nil)
	if err != nil {
		return err
	}
	alone, delivered := 0, 0
	for _, f := range followed {
		way.Steps = append(way.Steps, Step{Stage: StageReceiver, Name: s.Target.Receiver, Pipeline: pipelineOf(followed, &f), Facts: []Fact{{"data points", fmt.Sprint(f.Received.DataPointCount())}}})
		for _, p := range f.Processors {
			step := Step{Stage: StageProcessor, Name: p.ID, Pipeline: pipelineOf(followed, &f), Where: e.where(e.file.PathPos("processors::" + p.ID))}
			if p.Skipped != "" {
				step.Facts = []Fact{{"not run", p.Skipped}}
			} else {
				step.Facts = append([]Fact{{"data points", fmt.Sprint(p.Out.DataPointCount())}}, decisions(p.Points)...)
			}
			way.Steps = append(way.Steps, step)
		}
		way.Steps = append(way.Steps, Step{
			Stage: StageExporter, Name: exporterOf(&f), Pipeline: pipelineOf(followed, &f), Where: e.where(e.file.PathPos("exporters::" + f.Exporter)),
			Facts: []Fact{{"series", fmt.Sprint(len(f.Delivered))}},
		})
		alone += len(f.Delivered)
		for i := range f.Delivered {
			if e.delivered[string(f.Delivered[i].Labels.Bytes(nil))] != nil {
				delivered++
			}
		}
	}
	way.Outcome, way.Reason = Scraped, fmt.Sprintf("Of %s on the page and the scraper's own %d, %s delivered.",
		counted(int(s.Report["scrape_samples_scraped"]), "sample", "samples"), len(s.Report), counted(delivered, "series is", "series are"))
	if alone > delivered {
		way.Reason += fmt.Sprintf(" Alone it would be %d: %s.", alone, e.company())
	}
	return nil
}

// droppedByRule counts the series of a page by the rule that drops them.
func (e *explainer) droppedByRule(s *scrapetest.Scraped, j *job) []Fact {
	rules := j.Scrape.MetricRelabelConfigs
	counts := make([]int, len(rules))
	for i := range s.Series {
		trace := scrapetest.Trace(s.Series[i].Labels, rules)
		if n := len(trace); n > 0 && !trace[n-1].Kept {
			counts[trace[n-1].Rule]++
		}
	}
	own := ownRules(j)
	var facts []Fact
	for i, n := range counts {
		if n == 0 {
			continue
		}
		name := fmt.Sprintf("dropped by rule %d", i+1)
		if i >= own {
			name += ", derived from the scope"
		} else if j.written != nil && i < len(j.written.MetricRelabel()) {
			name += " (" + e.where(j.written.MetricRelabel()[i].Pos) + ")"
		}
		facts = append(facts, Fact{name, counted(n, "series", "series")})
	}
	return facts
}

func decisions(points map[scrapetest.Decision]int64) []Fact {
	var facts []Fact
	for d, n := range points {
		if n > 0 {
			facts = append(facts, Fact{d.Decision + ", " + d.Reason, fmt.Sprint(n)})
		}
	}
	slices.SortFunc(facts, func(a, b Fact) int { return -strings.Compare(a.Name, b.Name) })
	return facts
}

// pipelineOf is the name of a pipeline where there are several.
func pipelineOf(all []scrapetest.Followed, f *scrapetest.Followed) string {
	if len(all) == 1 {
		return ""
	}
	return f.Pipeline
}

func exporterOf(f *scrapetest.Followed) string {
	switch {
	case f.Nowhere:
		return "no exporter for Prometheus: nothing is delivered"
	case f.Exporter == "":
		return "no exporter for Prometheus: translated as durable_remote_write does"
	}
	return f.Exporter
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
