// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/util/strutil"

	"github.com/kubiyabot/otelcol-runner/components/scopepushdownconverter"
	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// scrapes are the pages of a configuration and a scene as Prometheus's scraper reads them, at each time that is asked for.
type scrapes struct {
	mu sync.Mutex // guards at
	at map[time.Duration]func() ([]scrapetest.Scraped, error)
}

// scraped are all targets at the time of the view, with what their pages hold before any rule of metric_relabel_configs.
func (v *view) scraped() ([]scrapetest.Scraped, error) {
	v.scrapes.mu.Lock()
	get, ok := v.scrapes.at[v.at]
	if !ok {
		get = sync.OnceValues(func() ([]scrapetest.Scraped, error) {
			return v.engine.Scrape(v.ctx, v.config, v.result.Scene, v.at, false)
		})
		v.scrapes.at[v.at] = get
	}
	v.scrapes.mu.Unlock()
	return get()
}

// lost says in further lines what is nearest to a selector that nothing matches, and where what it selects was lost.
func (v *view) lost(s *selector) string {
	if v.brief {
		return ""
	}
	var b strings.Builder
	near := v.nearest(s)
	if near != nil {
		b.WriteString("\nthe nearest series that was delivered, with the difference (- expected, + delivered):")
		b.WriteString(difference(s, near.Labels))
	}
	if where := v.where(s); where != "" {
		b.WriteString("\n" + where)
	}
	return b.String()
}

// nearest is the delivered series of the same name that has most of what the selector wants.
func (v *view) nearest(s *selector) *scrapetest.Series {
	all := v.result.Live(v.at)
	if name := s.name(); name != "" {
		all = slices.DeleteFunc(all, func(one scrapetest.Series) bool { return one.Labels.Get(model.MetricNameLabel) != name })
	}
	if len(all) == 0 || len(s.matchers) == 0 {
		return nil
	}
	best := slices.MinFunc(all, func(a, b scrapetest.Series) int { return cmp.Compare(s.distance(a.Labels), s.distance(b.Labels)) })
	if s.name() == "" && !slices.ContainsFunc(s.matchers, func(m *labels.Matcher) bool { return m.Matches(best.Labels.Get(m.Name)) }) {
		return nil // it has nothing of it
	}
	return &best
}

// distance is how many labels are not as the selector wants them. One that is almost as it should be counts less.
func (s *selector) distance(ls labels.Labels) float64 {
	n := 0.0
	for _, m := range s.matchers {
		if have := ls.Get(m.Name); !m.Matches(have) {
			n += 1 - strutil.NewJaroWinklerMatcher(m.Value).Score(have)/2
		}
	}
	if !s.open {
		n += float64(len(s.further(ls)))
	}
	return n
}

// difference writes a series, and label by label what is not as the selector wants it.
func difference(s *selector, ls labels.Labels) string {
	var lines []string
	for _, m := range s.matchers {
		have := ls.Get(m.Name)
		if m.Matches(have) {
			continue
		}
		lines = append(lines, missing(m.String()))
		if have != "" {
			lines = append(lines, surplus(labelText(labels.Label{Name: m.Name, Value: have})))
		}
	}
	if further := s.further(ls); !s.open && len(further) > 0 {
		texts := make([]string, len(further))
		for i, l := range further {
			texts[i] = labelText(l)
		}
		lines = append(lines, surplus(strings.Join(texts, ", "))+faint+" (allow further labels by … at the end)"+reset)
	}
	return listed(append([]string{seriesText(ls)}, indented(lines)...), maxDifferences)
}

// maxDifferences is how many lines a difference has.
const maxDifferences = 40

func indented(lines []string) []string {
	for i := range lines {
		lines[i] = "  " + lines[i]
	}
	return lines
}

// where says at which step what a selector selects was lost, as far as that can be told.
func (v *view) where(s *selector) string {
	name := s.name()
	if name == "" {
		return ""
	}
	all, err := v.scraped()
	if err != nil {
		return "where it was lost cannot be told: " + err.Error()
	}
	best := bestSeries(all, s)
	if best != nil && best.contradictions == 0 {
		return v.lostBehind(s, best)
	}
	var dropped, silent []string
	for i := range all {
		t := &all[i].Target
		if s.atOdds(t) || t.Duplicate {
			continue
		}
		if !t.Kept() {
			if isReport(name) && s.isAbout(t) || v.exposes(t, name) {
				dropped = append(dropped, nameOf(t)+" "+v.fate(t))
			}
		} else if why := unanswered(&all[i]); why != "" && !isReport(name) {
			silent = append(silent, nameOf(t)+" "+why)
		}
	}
	switch {
	case len(dropped) > 0:
		return "it is not scraped from a target that was discovered:" + listed(dropped, maxTargets)
	case s.undiscovered(all) != "":
		return s.undiscovered(all)
	case isReport(name):
		return v.lostReport(s, all)
	case best != nil && len(silent) == 0:
		return v.lostBehind(s, best)
	}
	message := ""
	if best == nil {
		message = notExposed(all, name)
	}
	if len(silent) > 0 {
		message += "\nit may be missing because of a target that gives no page:" + listed(silent, maxTargets)
	}
	return strings.TrimPrefix(message, "\n")
}

// lostReport says where a series that Prometheus adds to each scrape was lost.
func (v *view) lostReport(s *selector, all []scrapetest.Scraped) string {
	for i := range all {
		t := &all[i].Target
		if t.Kept() && !s.atOdds(t) {
			if by := v.droppedBy(t, s.name(), nil); by != "" {
				return nameOf(t) + " is scraped, and " + by
			}
		}
	}
	return ""
}

// candidate is a scraped series that could be what a selector selects.
type candidate struct {
	from           *scrapetest.Scraped
	index          int // of the series in from
	series         *scrapetest.ScrapedSeries
	contradictions int // labels with another value than the selector wants
}

// bestSeries is the scraped series of the selector's name that contradicts it least.
func bestSeries(all []scrapetest.Scraped, s *selector) *candidate {
	var best *candidate
	for i := range all {
		for k := range all[i].Series {
			ls := all[i].Series[k].Labels
			if ls.Get(model.MetricNameLabel) != s.name() {
				continue
			}
			if n := s.contradictions(ls, &all[i].Target); best == nil || n < best.contradictions {
				best = &candidate{&all[i], k, &all[i].Series[k], n}
			}
		}
	}
	return best
}

// contradictions is how many labels a series, or the target that it is of, has with another value than the selector wants. A label that
// it has not got may be added later.
func (s *selector) contradictions(ls labels.Labels, t *scrapetest.Target) int {
	n := 0
	for _, m := range s.matchers {
		have := ls.Get(m.Name)
		if have == "" {
			have = t.Discovered.Get("__meta_kubernetes_" + m.Name)
		}
		if have != "" && !m.Matches(have) {
			n++
		}
	}
	return n
}

// lostBehind says what became of a series that was scraped.
func (v *view) lostBehind(s *selector, c *candidate) string {
	t := &c.from.Target
	from := fmt.Sprintf("%s exposes it (%s)", nameOf(t), t.URL)
	rules := v.job(t).Scrape.MetricRelabelConfigs
	steps := scrapetest.Trace(c.series.Labels, rules)
	after := c.series.Labels
	if len(steps) > 0 {
		last := &steps[len(steps)-1]
		if !last.Kept {
			return from + ", and it was dropped by " + v.metricRule(t, last.Rule)
		}
		after = last.After
	}
	if name := after.Get(model.MetricNameLabel); name != s.name() {
		for _, step := range steps {
			if step.Before.Get(model.MetricNameLabel) != step.After.Get(model.MetricNameLabel) {
				return fmt.Sprintf("%s, and it was renamed to %s by %s", from, name, v.metricRule(t, step.Rule))
			}
		}
	}
	untimely, dropped, err := c.from.Untimely(c.index)
	if err != nil {
		return from + ", where it was lost cannot be told: " + err.Error()
	}
	if dropped {
		return from + ", and " + untimely
	}
	if v.wasDelivered(after) {
		return "" // with other labels, which the difference shows
	}
	if by := v.droppedBy(t, s.name(), c.family(rules)); by != "" {
		return from + ", and " + by
	}
	if untimely != "" {
		return from + ", and " + untimely
	}
	return from + ", and neither a rule nor a processor drops it when it is alone" + v.droppedInAll()
}

// family are the series of the family that a series is of, as they are behind all rules: a receiver discards a part of one.
func (c *candidate) family(rules []*relabel.Config) []labels.Labels {
	all := []labels.Labels{}
	for i := range c.from.Series {
		one := &c.from.Series[i]
		if one != c.series && (one.Family == "" || one.Family != c.series.Family) {
			continue
		}
		ls := one.Labels
		kept := true
		for _, step := range scrapetest.Trace(ls, rules) {
			ls, kept = step.After, step.Kept
		}
		if kept {
			all = append(all, ls)
		}
	}
	return all
}

// droppedBy says which part of which pipeline does not pass on a metric of a target, when nothing but the given series is scraped. It
// is empty where every part does.
func (v *view) droppedBy(t *scrapetest.Target, name string, only []labels.Labels) string {
	if only == nil {
		only = []labels.Labels{}
	}
	followed, err := v.engine.Follow(v.ctx, v.config, v.result.Scene, v.at, t, only)
	if err != nil {
		return "where it was lost behind the scrape cannot be told: " + err.Error()
	}
	// What is counted of the series that Prometheus adds to each scrape does not matter here.
	without := followed
	if len(only) > 0 {
		if without, err = v.engine.Follow(v.ctx, v.config, v.result.Scene, v.at, t, []labels.Labels{}); err != nil {
			return "where it was lost behind the scrape cannot be told: " + err.Error()
		}
	}
	for i := range followed {
		f := &followed[i]
		if slices.ContainsFunc(f.Delivered, func(one scrapetest.Series) bool { return one.Labels.Get(model.MetricNameLabel) == name }) {
			return ""
		}
		for k := range f.Processors {
			var reasons []string
			for decision, n := range f.Processors[k].Points {
				if decision.Decision == "dropped" && (len(only) == 0 || n > without[i].Processors[k].Points[decision]) {
					reasons = append(reasons, decision.Reason)
				}
			}
			if len(reasons) > 0 {
				slices.Sort(reasons)
				return fmt.Sprintf("the processor %s dropped it: %s", f.Processors[k].ID, strings.Join(reasons, ", "))
			}
		}
	}
	for i := range followed {
		if by := vanished(&followed[i], &without[i], len(only) == 0); by != "" {
			return by
		}
	}
	return ""
}

// vanished says behind which part nothing is left but what Prometheus adds to a scrape.
func vanished(f, without *scrapetest.Followed, reports bool) string {
	if reports {
		return ""
	}
	if f.Received.DataPointCount() <= without.Received.DataPointCount() {
		return "the receiver left it out, as it does with a histogram or summary without its _count and with buckets that make no sense"
	}
	for k := range f.Processors {
		p := &f.Processors[k]
		if p.Skipped == "" && p.Out.DataPointCount() <= without.Processors[k].Out.DataPointCount() {
			return fmt.Sprintf("the processor %s did not pass it on", p.ID)
		}
	}
	return ""
}

// wasDelivered says whether a series was delivered that is not at odds with the labels.
func (v *view) wasDelivered(ls labels.Labels) bool {
	name := ls.Get(model.MetricNameLabel)
	for _, one := range v.result.Live(v.at) {
		if one.Labels.Get(model.MetricNameLabel) != name {
			continue
		}
		same := true
		ls.Range(func(l labels.Label) {
			have := one.Labels.Get(l.Name)
			same = same && (have == "" || have == l.Value || one.Labels.Get("exported_"+l.Name) == l.Value)
		})
		if same {
			return true
		}
	}
	return false
}

// droppedInAll names the reasons for which runner processors have dropped anything in the run.
func (v *view) droppedInAll() string {
	drops := v.result.Drops(v.at)
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(drops)) {
		if drops[reason] > 0 {
			reasons = append(reasons, fmt.Sprintf("%s %d", reason, drops[reason]))
		}
	}
	if len(reasons) == 0 {
		return ": it may be delivered with other labels"
	}
	return "; with everything else, processors have dropped by then: " + strings.Join(reasons, ", ")
}

// job is the scrape configuration that a target is of.
func (v *view) job(t *scrapetest.Target) *scrapetest.Job {
	i := slices.IndexFunc(v.result.Jobs, func(j scrapetest.Job) bool { return j.Receiver == t.Receiver && j.Name == t.Job })
	return &v.result.Jobs[i]
}

func (v *view) metricRule(t *scrapetest.Target, index int) string {
	if scopepushdownconverter.IsDerived(v.job(t).Scrape.MetricRelabelConfigs[index]) {
		return "the rule that is derived from the scope of the runner processor: its metrics do not name it"
	}
	return v.rule(t.Receiver, t.Job, "metric_relabel_configs", index, configfile.Job.MetricRelabel)
}

// atOdds says whether a target has a label with another value than the selector wants.
func (s *selector) atOdds(t *scrapetest.Target) bool {
	return slices.ContainsFunc(s.matchers, func(m *labels.Matcher) bool {
		own := ownLabel(t, m.Name)
		return own != "" && !m.Matches(own)
	})
}

// isAbout says whether a target has a label as the selector wants it.
func (s *selector) isAbout(t *scrapetest.Target) bool {
	return slices.ContainsFunc(s.matchers, func(m *labels.Matcher) bool {
		own := ownLabel(t, m.Name)
		return own != "" && m.Matches(own)
	})
}

// undiscovered names the labels that the selector wants and that other targets have with other values.
func (s *selector) undiscovered(all []scrapetest.Scraped) string {
	for _, m := range s.matchers {
		if m.Type != labels.MatchEqual || metaLabels[m.Name] == nil || m.Value == "" {
			continue
		}
		var others []string
		found := false
		for i := range all {
			own := ownLabel(&all[i].Target, m.Name)
			found = found || own == m.Value
			if own != "" {
				others = append(others, own)
			}
		}
		if found || len(others) == 0 {
			continue
		}
		message := "no target with " + m.String() + " was discovered"
		if similar := nearest(m.Value, others); similar != "" {
			message += "; there is " + labelText(labels.Label{Name: m.Name, Value: similar})
		}
		return message
	}
	return ""
}

// ownLabel is the label that a target has, or would have if it were not dropped; empty where nothing is known.
func ownLabel(t *scrapetest.Target, name string) string {
	if name == model.MetricNameLabel {
		return ""
	}
	own := cmp.Or(t.Labels.Get(name), t.Discovered.Get(name))
	for _, meta := range metaLabels[name] {
		own = cmp.Or(own, t.Discovered.Get(meta))
	}
	return own
}

// metaLabels are where a label usually comes from. They only serve to tell of which target somebody thinks.
var metaLabels = map[string][]string{
	"pod":       {metaPod},
	"namespace": {"__meta_kubernetes_namespace"},
	"container": {"__meta_kubernetes_pod_container_name"},
	"app": {
		"__meta_kubernetes_pod_label_app_kubernetes_io_kubiya_runner_component", "__meta_kubernetes_pod_label_app_kubernetes_io_name",
		"__meta_kubernetes_pod_label_app",
	},
	"instance": {metaAddress},
}

// isReport says whether Prometheus adds a name to each scrape.
func isReport(name string) bool { return name == "up" || strings.HasPrefix(name, "scrape_") }

// unanswered says why a target has no page.
func unanswered(one *scrapetest.Scraped) string {
	switch {
	case !one.Listening:
		return fmt.Sprintf("has no page in the scene (%s)", one.Target.URL)
	case one.Page.Status == http.StatusNotFound && one.Page.Key == "":
		return fmt.Sprintf("has pages in the scene, but none at this path (%s)", one.Target.URL)
	case one.Page.Status != http.StatusOK:
		return fmt.Sprintf("answered %d (%s, page %s)", one.Page.Status, one.Target.URL, one.Page.Key)
	case one.Err != nil:
		return fmt.Sprintf("was scraped in vain: %v (%s)", one.Err, one.Target.URL)
	}
	return ""
}

// exposes says whether there is a page with a metric where a target that is not scraped was discovered.
func (v *view) exposes(t *scrapetest.Target, name string) bool {
	host, port, err := net.SplitHostPort(t.Discovered.Get(metaAddress))
	if err != nil {
		return false
	}
	page, found := v.result.Scene.At(v.at).Page(host, port, cmp.Or(t.Discovered.Get("__metrics_path__"), "/metrics"))
	if !found || page.Encoding != "" {
		return false
	}
	for line := range strings.Lines(string(page.Body)) {
		rest, begins := strings.CutPrefix(line, name)
		if begins && (rest == "" || strings.ContainsAny(rest[:1], "{ \t")) {
			return true
		}
	}
	return false
}

// notExposed says that no page has a metric, and which one is named almost like it.
func notExposed(all []scrapetest.Scraped, name string) string {
	names := map[string]string{} // to a target that exposes it
	for i := range all {
		for k := range all[i].Series {
			other := all[i].Series[k].Labels.Get(model.MetricNameLabel)
			if names[other] == "" {
				names[other] = nameOf(&all[i].Target)
			}
		}
	}
	message := "no page of a target that is scraped exposes " + name
	if similar := nearest(name, slices.Sorted(maps.Keys(names))); similar != "" {
		message += fmt.Sprintf("; %s exposes %s", names[similar], similar)
	}
	return message
}
