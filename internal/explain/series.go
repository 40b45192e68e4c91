// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// candidate is a series of a page that may be meant.
type candidate struct {
	target, index int // of explainer.exposed, and of its series; index -1: one of the scraper's own
	labels        labels.Labels
	// open are the matchers on labels that neither the page nor the rules give it.
	open []*labels.Matcher
}

// series explains the series that a selector selects.
func (e *explainer) series(ctx context.Context, selector string, out *Explanation) error {
	matchers, err := parseSelector("--series", selector)
	if err != nil {
		return err
	}
	all := e.candidates(matchers)
	tried := 0
	for _, c := range all {
		if len(out.Ways) == maxWays || tried == maxOthers {
			out.other(text(c.labels))
			continue
		}
		tried++
		way, delivered, err := e.one(ctx, &c)
		if err != nil {
			return err
		}
		if delivered.Len() > 0 && !matchesAll(delivered, c.open) {
			continue
		}
		if delivered.Len() == 0 && len(c.open) > 0 {
			way.Reason += " Whether it would have matched " + names(c.open) + " is not known: such a label comes later."
		}
		out.Ways = append(out.Ways, *way)
	}
	if len(out.Ways) == 0 {
		out.Nearest = e.nearestSeries(matchers)
		out.Notes = append(slices.Clone(out.Notes), e.silent()...)
	}
	return nil
}

func names(matchers []*labels.Matcher) string {
	var all []string
	for _, m := range matchers {
		all = append(all, m.Name)
	}
	return strings.Join(all, ", ")
}

// candidates are the series whose labels, of the page or behind the rules, match; those first that match without later labels.
func (e *explainer) candidates(matchers []*labels.Matcher) []candidate {
	var sure, open []candidate
	later := e.laterLabels()
	add := func(c candidate, after labels.Labels) {
		ok := true
		for _, m := range matchers {
			switch {
			case m.Matches(c.labels.Get(m.Name)) || m.Matches(after.Get(m.Name)):
			case later[m.Name] || m.Name == model.InstanceLabel:
				c.open = append(c.open, m)
			default:
				ok = false
			}
		}
		switch {
		case !ok:
		case len(c.open) == 0:
			sure = append(sure, c)
		default:
			open = append(open, c)
		}
	}
	for i := range e.exposed {
		s := &e.exposed[i]
		if !s.Target.Kept() {
			continue
		}
		rules := e.job(&s.Target).Scrape.MetricRelabelConfigs
		for n := range s.Series {
			ls := s.Series[n].Labels
			after, _ := process(ls, rules)
			add(candidate{target: i, index: n, labels: ls}, after)
		}
		for name := range s.Report {
			builder := labels.NewBuilder(s.Target.Labels)
			ls := builder.Set(model.MetricNameLabel, name).Labels()
			add(candidate{target: i, index: -1, labels: ls}, ls)
		}
	}
	order := func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.target, b.target), cmp.Compare(a.index, b.index), labels.Compare(a.labels, b.labels))
	}
	slices.SortFunc(sure, order)
	if len(sure) > 0 {
		return sure
	}
	slices.SortFunc(open, order)
	return open
}

// laterLabels are those of delivered series that no scraped one has: processors and exporters add them. A processor may change the
// label instance as well.
func (e *explainer) laterLabels() map[string]bool {
	names := map[string]bool{}
	for i := range e.result.Series {
		e.result.Series[i].Labels.Range(func(l labels.Label) { names[l.Name] = true })
	}
	for i := range e.kept {
		e.kept[i].Target.Labels.Range(func(l labels.Label) { delete(names, l.Name) })
		for n := range e.kept[i].Series {
			e.kept[i].Series[n].Labels.Range(func(l labels.Label) { delete(names, l.Name) })
		}
	}
	return names
}

// silent says which targets' pages could not be searched.
func (e *explainer) silent() []string {
	var notes []string
	for i := range e.exposed {
		s := &e.exposed[i]
		if s.Err == nil {
			continue
		}
		if len(notes) == maxWays {
			return append(notes, "and more targets do not answer")
		}
		notes = append(notes, fmt.Sprintf("%s of the job %s has no page to look in: %s", nameOf(&s.Target), s.Target.Job, show(s.Err.Error())))
	}
	return notes
}

// nearestSeries proposes names, or with the right name the labels that there are.
func (e *explainer) nearestSeries(matchers []*labels.Matcher) []string {
	var name string
	wanted := make([]string, 0, len(matchers))
	for _, m := range matchers {
		if m.Name == model.MetricNameLabel {
			name = m.Value
		}
		wanted = append(wanted, m.Name+"="+m.Value)
	}
	var all, same []string
	for i := range e.exposed {
		for _, s := range e.exposed[i].Series {
			all = append(all, s.Labels.Get(model.MetricNameLabel))
			if s.Labels.Get(model.MetricNameLabel) == name {
				same = append(same, text(s.Labels))
			}
		}
	}
	if len(same) > 0 {
		slices.Sort(same)
		if len(same) > 1000 { // any of them will do
			same = same[:1000]
		}
		return nearest(name+"{"+strings.Join(wanted, ", ")+"}", same)
	}
	if name == "" {
		return nil
	}
	return nearest(name, all)
}

// one explains one series, and returns what is delivered of it.
func (e *explainer) one(ctx context.Context, c *candidate) (*Way, labels.Labels, error) {
	s := &e.exposed[c.target]
	t := &s.Target
	j := e.job(t)
	way := &Way{Kind: "series", Name: text(c.labels), Job: t.Job, Receiver: t.Receiver, Source: e.source(t)}
	after := c.labels
	untimely, refused := "", false
	if c.index >= 0 {
		var err error
		if untimely, refused, err = s.Untimely(c.index); err != nil {
			return nil, labels.Labels{}, err
		}
		exposed, err := s.Exposed()
		if err != nil {
			return nil, labels.Labels{}, err
		}
		way.Steps = append(way.Steps, e.page(s, c.index, exposed[c.index].Labels), e.conflicts(exposed[c.index].Labels, c.labels, t, j))
		if ls := exposed[c.index].Labels; ls.Len() > 0 {
			way.Name = text(ls)
		}
		trace := scrapetest.Trace(c.labels, j.Scrape.MetricRelabelConfigs)
		var written []configfile.Rule
		if j.written != nil {
			written = j.written.MetricRelabel()
		}
		way.Steps = append(way.Steps, e.ruleSteps(StageMetric, trace, j.Scrape.MetricRelabelConfigs, written)...)
		if n := len(trace); n > 0 {
			after = trace[n-1].After
		}
	} else {
		way.Steps = append(way.Steps, Step{Stage: StageTarget, Name: "the scraper's own", Labels: list(c.labels), Facts: []Fact{
			{"value", number(s.Report[c.labels.Get(model.MetricNameLabel)])}, {"rules", "metric_relabel_configs do not apply to what the scraper adds"},
		}})
	}
	last := &way.Steps[len(way.Steps)-1]
	real := &e.kept[c.target]
	present := c.index < 0 || slices.ContainsFunc(real.Series, func(k scrapetest.ScrapedSeries) bool { return labels.Equal(k.Labels, after) })
	switch {
	case last.Ended && !present:
		way.Outcome, way.Reason = Dropped, sentence(last.Why)
		return way, labels.Labels{}, nil
	case real.Err != nil && c.index >= 0:
		way.Outcome, way.Reason = Dropped, sentence("the whole scrape fails: "+show(real.Err.Error()))
		way.Steps = append(way.Steps, Step{Stage: StageScrape, Name: "scrape", Ended: true, Why: show(real.Err.Error())})
		return way, labels.Labels{}, nil
	case !last.Ended && !present && refused:
		way.Outcome, way.Reason = Dropped, sentence(untimely)
		way.Steps = append(way.Steps, Step{Stage: StageScrape, Name: "scrape", Ended: true, Why: untimely})
		return way, labels.Labels{}, nil
	case last.Ended || !present:
		way.Outcome, way.Reason = Unclear, "The rules one by one say something else than a scrape with all of them: believe the scrape."
		way.Steps = append(way.Steps, Step{Stage: StageMetric, Name: "scrape", Facts: []Fact{{"handed over by the scrape", strconv.FormatBool(present)}}})
		return way, labels.Labels{}, nil
	}
	delivered, err := e.follow(ctx, c, after, way)
	return way, delivered, err
}

// page is where a series stands.
func (e *explainer) page(s *scrapetest.Scraped, index int, exposed labels.Labels) Step {
	series := &s.Series[index]
	step := Step{Stage: StageExposed, Name: "page"}
	if exposed.Len() > 0 {
		step.Facts = append(step.Facts, Fact{"line", text(exposed) + " " + value(&series.Sample)})
	}
	if s.Page.Key != "" {
		step.Facts = append(step.Facts, Fact{"page", s.Page.Key})
	}
	kind := string(series.Metadata.Type)
	if series.Family == "" || kind == "" {
		kind = "none given: the page has no TYPE for it"
	}
	step.Facts = append(step.Facts, Fact{"URL", show(s.Target.URL)}, Fact{"type", kind})
	if series.Family != "" && series.Family != series.Labels.Get(model.MetricNameLabel) {
		step.Facts = append(step.Facts, Fact{"family", series.Family})
	}
	return step
}

// conflicts is how the labels of the target came to it.
func (e *explainer) conflicts(exposed, scraped labels.Labels, t *scrapetest.Target, j *job) Step {
	step := Step{Stage: StageTarget, Name: "labels of " + nameOf(t), Labels: list(scraped)}
	if j.written != nil {
		step.Where = e.where(j.written.Pos)
	}
	if exposed.Len() == 0 {
		step.Facts = []Fact{{"before", "the scraper made this series of another one"}}
		return step
	}
	step.Changes = diff(exposed, scraped)
	exposed.Range(func(l labels.Label) {
		if now := scraped.Get(l.Name); now != l.Value {
			step.Facts = append(step.Facts, Fact{"conflict", fmt.Sprintf("%s is a label of the target: what the page says becomes exported_%s (honor_labels is false)", l.Name, l.Name)})
		}
	})
	if j.Scrape.HonorLabels {
		t.Labels.Range(func(l labels.Label) {
			if own := exposed.Get(l.Name); own != "" && own != l.Value {
				step.Facts = append(step.Facts, Fact{"conflict", fmt.Sprintf("%s stays what the page says (honor_labels is true)", l.Name)})
			}
		})
	}
	return step
}

// follow shows what receiver, processors and exporter make of a series, and returns what is delivered.
func (e *explainer) follow(ctx context.Context, c *candidate, after labels.Labels, way *Way) (labels.Labels, error) {
	t := &e.exposed[c.target].Target
	only := []labels.Labels{}
	if c.index >= 0 {
		only = e.family(c, after)
		if n := e.collisions(c, after); n > 0 {
			step := &way.Steps[len(way.Steps)-1]
			step.Facts = append(step.Facts, Fact{"collision", counted(n, "other series of the page has", "other series of the page have") + " the same labels now: of all of them one sample is left"})
		}
	}
	nothing, err := e.engine.Follow(ctx, e.config, e.scene, e.at, t, []labels.Labels{})
	if err != nil {
		return labels.Labels{}, err
	}
	followed, err := e.engine.Follow(ctx, e.config, e.scene, e.at, t, only)
	if err != nil {
		return labels.Labels{}, err
	}
	var (
		delivered labels.Labels
		why       string
	)
	for i := range followed {
		f := &followed[i]
		if end := e.pipeline(c, after, &nothing[i], f, pipelineOf(followed, f), way); end.Len() > 0 {
			delivered = end
		}
		if !f.Nowhere { // there always is one that is not
			why = way.Steps[len(way.Steps)-1].Why
		}
	}
	if delivered.Len() == 0 {
		way.Outcome, way.Reason = Dropped, sentence(why)
	}
	return delivered, nil
}

// collisions counts the other series of the page that the rules give the same labels.
func (e *explainer) collisions(c *candidate, after labels.Labels) int {
	s := &e.exposed[c.target]
	rules := e.job(&s.Target).Scrape.MetricRelabelConfigs
	n := 0
	for i := range s.Series {
		if ls, ok := process(s.Series[i].Labels, rules); ok && i != c.index && labels.Equal(ls, after) {
			n++
		}
	}
	return n
}

// family are the series, after all rules, that belong to one: the buckets of a histogram. The receiver needs them all.
func (e *explainer) family(c *candidate, after labels.Labels) []labels.Labels {
	s := &e.exposed[c.target]
	rules := e.job(&s.Target).Scrape.MetricRelabelConfigs
	same := func(ls labels.Labels) labels.Labels {
		return labels.NewBuilder(ls).Del(model.MetricNameLabel, labels.BucketLabel, "quantile").Labels()
	}
	wanted := same(after)
	only := []labels.Labels{after}
	for i := range s.Series {
		if i == c.index || s.Series[i].Family == "" || s.Series[i].Family != s.Series[c.index].Family {
			continue
		}
		if ls, ok := process(s.Series[i].Labels, rules); ok && labels.Equal(same(ls), wanted) && !labels.Equal(ls, after) {
			only = append(only, ls)
		}
	}
	return only
}

// pipeline adds the steps of one pipeline, and returns what it delivers of the series.
func (e *explainer) pipeline(c *candidate, after labels.Labels, nothing, f *scrapetest.Followed, name string, way *Way) labels.Labels {
	add := func(s Step) { s.Pipeline = name; way.Steps = append(way.Steps, s) }
	own := c.labels.Get(model.MetricNameLabel)
	find := func(all, others []point) *point {
		for i := range all {
			p := &all[i]
			if c.index < 0 && p.name == own || c.index >= 0 && !slices.ContainsFunc(others, p.same) {
				return p
			}
		}
		return nil
	}
	before := find(pointsOf(f.Received), pointsOf(nothing.Received))
	if before == nil {
		add(Step{Stage: StageReceiver, Name: way.Receiver, Ended: true, Why: "the receiver makes no data point of it: of a histogram or summary it needs _count and, for buckets, an le"})
		return labels.Labels{}
	}
	add(Step{Stage: StageReceiver, Name: way.Receiver, Facts: before.facts(), Changes: diff(after, before.labels())})
	for i := range f.Processors {
		p := &f.Processors[i]
		step := Step{Stage: StageProcessor, Name: p.ID, Where: e.where(e.file.PathPos("processors::" + p.ID))}
		if p.Skipped != "" {
			step.Facts = []Fact{{"not run", p.Skipped}}
			add(step)
			continue
		}
		if c.index >= 0 {
			step.Facts = decisions(less(p.Points, nothing.Processors[i].Points))
		}
		now := find(pointsOf(p.Out), pointsOf(nothing.Processors[i].Out))
		if now == nil {
			step.Ended, step.Why = true, dropReason(p.ID, less(p.Points, nothing.Processors[i].Points))
			add(step)
			return labels.Labels{}
		}
		step.Changes = diff(before.labels(), now.labels())
		before = now
		add(step)
	}
	series := pick(after, f.Delivered, nothing.Delivered, c.index < 0)
	step := Step{Stage: StageExporter, Name: exporterOf(f), Where: e.where(e.file.PathPos("exporters::" + f.Exporter))}
	if series == nil {
		step.Ended, step.Why = true, "the exporter makes no series of it"
		if f.Nowhere {
			step.Why = "this pipeline has no exporter for Prometheus"
		}
		add(step)
		return labels.Labels{}
	}
	step.Labels = list(series.Labels)
	step.Changes = translated(before.labels(), series.Labels)
	e.arrived(series, &step, way)
	add(step)
	return series.Labels
}

// arrived compares what one series alone comes to with the run of everything.
func (e *explainer) arrived(series *scrapetest.Series, step *Step, way *Way) {
	if live := e.delivered[string(series.Labels.Bytes(nil))]; live != nil {
		step.Facts = append(step.Facts, Fact{"value", value(&live.Samples[len(live.Samples)-1])})
		as := "it is delivered as " + text(series.Labels)
		if way.Outcome == Delivered && way.Reason != sentence(as) { // by another pipeline, with other labels
			way.Reason = strings.TrimSuffix(way.Reason, ".") + ", and as " + text(series.Labels) + "."
			return
		}
		way.Outcome, way.Reason = Delivered, sentence(as)
		return
	}
	step.Ended, step.Why = true, "alone it would be delivered, but "+e.company()
	own := time.UnixMilli(series.Samples[len(series.Samples)-1].T)
	if why, _ := scrapetest.Untimely(own, e.scene.Start.Add(e.at)); why != "" {
		step.Why = why
	}
	if way.Outcome != Delivered { // by another pipeline
		way.Outcome, way.Reason = Dropped, sentence(step.Why)
	}
}

// company says what the runner processor has dropped because of other series.
func (e *explainer) company() string {
	var parts []string
	for _, l := range sortedLost(counts(e.result.Drops(e.at))) {
		if inCompany[l.Reason] {
			parts = append(parts, fmt.Sprintf("%s %d", l.Reason, l.Count))
		}
	}
	if len(parts) == 0 {
		return "together with all others it is not"
	}
	return "together with all others the runner processor drops " + strings.Join(parts, ", ")
}

// inCompany are the runner processor's reasons that come from other series.
var inCompany = map[string]bool{
	"series_limit": true, "metric_series_limit": true, "component_series_limit": true, "collision": true, "stale": true,
}

func counts(drops map[string]int64) map[string]int {
	all := make(map[string]int, len(drops))
	for reason, n := range drops {
		all[reason] = int(n)
	}
	return all
}

// less is what one run counted more than another.
func less(points, others map[scrapetest.Decision]int64) map[scrapetest.Decision]int64 {
	left := map[scrapetest.Decision]int64{}
	for d, n := range points {
		if n -= others[d]; n > 0 {
			left[d] = n
		}
	}
	return left
}

func dropReason(id string, points map[scrapetest.Decision]int64) string {
	for d := range points {
		if d.Decision == "dropped" {
			return "the processor " + id + " drops it: " + reasonText(d.Reason)
		}
	}
	return "the processor " + id + " passes on no data point of it"
}

// pick returns the delivered series that the scraped one became: of those that are new, the one most like it.
func pick(scraped labels.Labels, all, others []scrapetest.Series, own bool) *scrapetest.Series {
	var best *scrapetest.Series
	score := -1
	for i := range all {
		s := &all[i]
		if !own && slices.ContainsFunc(others, func(o scrapetest.Series) bool { return labels.Equal(o.Labels, s.Labels) }) {
			continue
		}
		if n := likeness(scraped, s.Labels); n > score {
			best, score = s, n
		}
	}
	return best
}

func likeness(a, b labels.Labels) int {
	n := 0
	a.Range(func(l labels.Label) {
		switch other := b.Get(l.Name); {
		case l.Name == model.MetricNameLabel:
			if l.Value == other {
				n += 1000
			} else if suffix := l.Value[strings.LastIndexByte(l.Value, '_')+1:]; strings.HasSuffix(other, "_"+suffix) {
				n += 500
			}
		case l.Value == other:
			n++
		case l.Name == labels.BucketLabel || l.Name == "quantile":
			x, errX := strconv.ParseFloat(l.Value, 64)
			y, errY := strconv.ParseFloat(other, 64)
			if errX == nil && errY == nil && x == y {
				n++
			}
		}
	})
	return n
}
