// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"hash/maphash"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/tsdb/record"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/kubiyabot/otelcol-runner/internal/samplelog"
)

// cache is what is known of the segment of the log: flat slices of numbers, of which each refers to others by position.
type cache struct {
	view *samplelog.View // of the segment, which it stands for

	// Attributes of resources that count, as they came: identity, then Settings.ResourceLabels. absent is for one that is missing.
	resourceValues []samplelog.Symbol
	resources      []resource
	resourceIndex  index

	scopes     []scopeEntry
	scopeIndex index

	metrics     []metric
	metricIndex index

	// Names of attributes in the order in which they came, and floats: bounds of histograms or quantiles of summaries.
	keys      list[samplelog.Symbol]
	floats    list[float64]
	keyIndex  index
	floatsIdx index

	entries    []point
	values     []samplelog.Symbol // of the attributes of all points
	refs       []samplelog.Ref    // of the series of all points
	pointIndex index

	seriesIndex index // of all series of the segment by their labels

	names struct{ metric, le, quantile, job, instance, scopeName, scopeVersion, scopeSchema samplelog.Symbol }
	// promoted are the names of Settings.ResourceLabels as labels.
	promoted []samplelog.Symbol

	// renewed are metrics for which a new segment was asked for because their metadata changed, over all segments. Each asks
	// once: two targets that contradict each other would ask with every batch.
	renewed map[string]struct{}
}

const (
	absent = samplelog.Symbol(math.MaxUint32)
	// unset is a series that has not been needed yet; repeated is one that the same point has already.
	unset    = samplelog.Ref(math.MaxUint32)
	repeated = samplelog.Ref(math.MaxUint32 - 1)

	maxRenewed = 1000
)

// maxEntries is how much the cache may hold before it asks for a new segment. A segment ends with 2^20 series, but what comes can
// differ in what makes no series.
const maxEntries = 1 << 19

func (c *cache) size() int {
	return len(c.resources) + len(c.scopes) + len(c.metrics) + len(c.keys.ends) + len(c.floats.ends) + len(c.entries)
}

type resource struct {
	job, instance samplelog.Symbol
}

// scopeEntry is a scope that the receiver made of otel_scope_* labels.
type scopeEntry struct {
	name, version, schema samplelog.Symbol
	attrs                 []samplelog.Symbol // name, value, ... as they came
	labels                []label
}

type metric struct {
	kind               metricKind
	resource, scope    uint32
	name, unit, help   samplelog.Symbol // as they came
	first              uint32           // the first point last time
	meta               samplelog.Metadata
	value, bucket      samplelog.Symbol // names of series, 0 until needed
	count, sum, create samplelog.Symbol
}

// point is a point of a metric: its attributes, and the series of its samples. Point 0 is none.
type point struct {
	metric uint32
	keys   uint32 // in cache.keys
	values uint32 // where its values begin in cache.values
	floats uint32 // in cache.floats
	refs   uint32 // where its series begin in cache.refs
	next   uint32 // the point that came after it last time, in the same metric
}

// list is a list of slices, in one slice.
type list[T any] struct {
	all  []T
	ends []uint32
}

func (l *list[T]) at(i uint32) []T {
	start := uint32(0)
	if i > 0 {
		start = l.ends[i-1]
	}
	return l.all[start:l.ends[i]]
}

func (l *list[T]) add(s []T) uint32 {
	l.all = append(l.all, s...)
	l.ends = append(l.ends, length(l.all))
	return length(l.ends) - 1
}

func (l *list[T]) reset() { l.all, l.ends = emptied(l.all), emptied(l.ends) }

// length is the length of a slice of the cache. Segments of the log have far less than 2^32 series and symbols.
func length[T any](s []T) uint32 { return uint32(len(s)) } //nolint:gosec // as above

// open makes the cache that of the batch's segment, which may have series already.
func (t *Translator) open() {
	c := &t.cache
	c.view = t.batch.View()
	c.resourceValues, c.resources = emptied(c.resourceValues), emptied(c.resources)
	c.scopes = nil
	c.metrics = emptied(c.metrics)
	c.keys.reset()
	c.floats.reset()
	c.entries, c.values, c.refs = append(emptied(c.entries), point{}), emptied(c.values), emptied(c.refs)
	for _, x := range []*index{&c.resourceIndex, &c.scopeIndex, &c.metricIndex, &c.keyIndex, &c.floatsIdx, &c.pointIndex, &c.seriesIndex} {
		x.reset()
	}
	c.floats.add(nil) // floats 0 are none
	c.scopes = append(c.scopes, scopeEntry{})

	for name, symbol := range map[string]*samplelog.Symbol{
		model.MetricNameLabel: &c.names.metric, model.BucketLabel: &c.names.le, model.QuantileLabel: &c.names.quantile,
		model.JobLabel: &c.names.job, model.InstanceLabel: &c.names.instance,
		scopeName: &c.names.scopeName, scopeVersion: &c.names.scopeVersion, scopeSchema: &c.names.scopeSchema,
	} {
		*symbol = t.batch.Symbol(name)
	}
	c.promoted = c.promoted[:0]
	for _, name := range t.settings.ResourceLabels {
		c.promoted = append(c.promoted, t.batch.Symbol(t.labelName(name)))
	}
	for i := range c.view.Len() {
		ref := samplelog.Ref(i)
		t.others = c.view.AppendLabels(t.others[:0], ref)
		c.seriesIndex.add(hashSymbols(t.others), uint32(ref))
	}
}

func (t *Translator) text(s samplelog.Symbol) string { return t.view.Text(s) }

func (t *Translator) hash(s string) uint64 { return maphash.String(t.seed, s) }

func hashSymbols(symbols []samplelog.Symbol) uint32 {
	h := uint64(len(symbols))
	for _, s := range symbols {
		h = mix(h, uint64(s)+1)
	}
	return fold(h)
}

// Resource attributes that become job and instance.
const (
	attrNamespace = "service.namespace"
	attrName      = "service.name"
	attrInstance  = "service.instance.id"
)

// resourceAttr returns the i-th resource attribute that counts.
func (t *Translator) resourceAttr(attrs pcommon.Map, i int) (string, bool) {
	switch i {
	case 0:
		return get(attrs, attrNamespace)
	case 1:
		return get(attrs, attrName)
	case 2:
		return get(attrs, attrInstance)
	default:
		return get(attrs, t.settings.ResourceLabels[i-3])
	}
}

func (t *Translator) resourceAttrs() int { return 3 + len(t.settings.ResourceLabels) }

// findResource makes the resource with these attributes the one at hand.
func (t *Translator) findResource(attrs pcommon.Map) Reason {
	h := uint64(1)
	for i := range t.resourceAttrs() {
		s, found := t.resourceAttr(attrs, i)
		if found {
			h = mix(h, t.hash(s))
		} else {
			h = mix(h, 1)
		}
		if !utf8.ValidString(s) {
			return ReasonLabel
		}
	}
	hash := fold(h)
	for s := t.resourceIndex.search(hash); ; {
		id, found := t.resourceIndex.next(&s)
		if !found {
			break
		}
		if t.sameResource(id, attrs) {
			t.resource = id
			return accepted
		}
	}
	t.resource = length(t.resources)
	var r resource
	for i := range t.resourceAttrs() {
		symbol := absent
		if s, found := t.resourceAttr(attrs, i); found {
			symbol = t.batch.Symbol(s)
		}
		t.resourceValues = append(t.resourceValues, symbol)
	}
	values := t.valuesOf(t.resource)
	if values[1] != absent {
		r.job = values[1]
		if values[0] != absent {
			r.job = t.batch.Symbol(t.text(values[0]) + "/" + t.text(values[1]))
		}
	}
	if values[2] != absent {
		r.instance = values[2]
	}
	t.resources = append(t.resources, r)
	t.resourceIndex.add(hash, t.resource)
	return accepted
}

func (t *Translator) valuesOf(resource uint32) []samplelog.Symbol {
	n := t.resourceAttrs()
	return t.resourceValues[int(resource)*n:][:n]
}

func (t *Translator) sameResource(id uint32, attrs pcommon.Map) bool {
	for i, symbol := range t.valuesOf(id) {
		s, found := t.resourceAttr(attrs, i)
		if found != (symbol != absent) || found && s != t.text(symbol) {
			return false
		}
	}
	return true
}

const (
	// receiverScope is the scope of what a target exposes without otel_scope_* labels.
	receiverScope = "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver"

	scopePrefix  = "otel_scope_"
	scopeName    = scopePrefix + "name"
	scopeVersion = scopePrefix + "version"
	scopeSchema  = scopePrefix + "schema_url"
)

// findScope returns the scope at hand, whose labels are what the receiver made it of.
func (t *Translator) findScope() (uint32, Reason) {
	if t.scoped {
		return t.scope, accepted
	}
	t.scope, t.scoped = 0, true
	sm := t.scopeIs
	if sm.Scope().Name() == receiverScope && sm.Scope().Attributes().Len() == 0 {
		return 0, accepted
	}
	name, version, schema, attrs := sm.Scope().Name(), sm.Scope().Version(), sm.SchemaUrl(), sm.Scope().Attributes()
	if !utf8.ValidString(name) || !utf8.ValidString(version) || !utf8.ValidString(schema) || t.checkAttributes(attrs) != accepted {
		t.scoped = false
		return 0, ReasonLabel
	}
	h := mix(mix(t.hash(name), t.hash(version)), t.hash(schema))
	for k, v := range attrs.All() {
		h = mix(mix(h, t.hash(k)), t.hash(asString(v)))
	}
	hash := fold(h)
	for s := t.scopeIndex.search(hash); ; {
		id, found := t.scopeIndex.next(&s)
		if !found {
			break
		}
		e := &t.scopes[id]
		if t.text(e.name) == name && t.text(e.version) == version && t.text(e.schema) == schema && t.samePairs(e.attrs, attrs) {
			t.scope = id
			return id, accepted
		}
	}
	e := scopeEntry{name: t.batch.Symbol(name), version: t.batch.Symbol(version), schema: t.batch.Symbol(schema)}
	for k, v := range attrs.All() {
		value := t.batch.Symbol(asString(v))
		e.attrs = append(e.attrs, t.batch.Symbol(k), value)
		e.labels = append(e.labels, label{t.batch.Symbol(t.labelName(scopePrefix + k)), value})
	}
	e.labels = append(e.labels, label{t.names.scopeName, e.name}, label{t.names.scopeVersion, e.version}, label{t.names.scopeSchema, e.schema})
	t.scope = length(t.scopes)
	t.scopes = append(t.scopes, e)
	t.scopeIndex.add(hash, t.scope)
	return t.scope, accepted
}

func (t *Translator) samePairs(pairs []samplelog.Symbol, attrs pcommon.Map) bool {
	if attrs.Len()*2 != len(pairs) {
		return false
	}
	i := 0
	for k, v := range attrs.All() {
		if t.text(pairs[i]) != k || t.text(pairs[i+1]) != asString(v) {
			return false
		}
		i += 2
	}
	return true
}

// findMetric returns the metric of the resource at hand.
func (t *Translator) findMetric(m pmetric.Metric, kind metricKind) (uint32, Reason) {
	name := m.Name()
	scope := uint32(0)
	if kind.scraped {
		var why Reason
		if scope, why = t.findScope(); why != accepted {
			return 0, why
		}
	}
	hash := fold(mix(t.hash(name), uint64(t.resource)<<32|uint64(kind.data)<<16|uint64(kind.prom)<<8)) //nolint:gosec // small
	for s := t.metricIndex.search(hash); ; {
		id, found := t.metricIndex.next(&s)
		if !found {
			break
		}
		if e := &t.metrics[id]; e.kind == kind && e.resource == t.resource && e.scope == scope && t.text(e.name) == name {
			if t.text(e.unit) != m.Unit() || t.text(e.help) != m.Description() {
				t.renew(name)
			}
			return id, accepted
		}
	}
	if name == "" || !utf8.ValidString(name) {
		return 0, ReasonName
	}
	unit, help := valid(m.Unit()), valid(m.Description())
	e := metric{
		kind: kind, resource: t.resource, scope: scope,
		name: t.batch.Symbol(name), unit: t.batch.Symbol(unit), help: t.batch.Symbol(help),
	}
	e.meta = samplelog.Metadata{Type: record.GetMetricType(modelTypes[kind.prom]), Unit: t.batch.Symbol(unitOf(unit, kind.scraped)), Help: e.help}
	id := length(t.metrics)
	t.metrics = append(t.metrics, e)
	t.metricIndex.add(hash, id)
	return id, accepted
}

// valid makes a text UTF-8, because requests that hold another are refused as a whole.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// unitOf returns the unit as Prometheus has it. The receiver makes UCUM of the units of OpenMetrics.
func unitOf(unit string, scraped bool) string {
	if unit == "" {
		return ""
	}
	if scraped && unit == "1" {
		return "ratio"
	}
	namer := otlptranslator.UnitNamer{}
	return namer.Build(unit)
}

func (t *Translator) renew(metric string) {
	if _, known := t.renewed[metric]; known || len(t.renewed) == maxRenewed {
		return
	}
	t.renewed[strings.Clone(metric)] = struct{}{}
	t.batch.Renew()
}

// findPoint returns the point of a metric with these attributes, and floats, that came behind the point prev. fresh says
// that it is new and has no series yet.
func (t *Translator) findPoint(metric uint32, attrs pcommon.Map, floats, prev uint32) (id uint32, fresh bool, why Reason) {
	if id = *t.after(metric, prev); id != 0 {
		if p := &t.entries[id]; p.floats == floats && t.sameAttributes(p, attrs) {
			return id, false, accepted
		}
	}
	h := mix(uint64(metric)<<32|uint64(floats), uint64(attrs.Len())) //nolint:gosec // a length
	for k, v := range attrs.All() {
		h = mix(mix(h, t.hash(k)), t.hash(asString(v)))
	}
	hash := fold(h)
	for s := t.pointIndex.search(hash); ; {
		found := false
		if id, found = t.pointIndex.next(&s); !found {
			break
		}
		if p := &t.entries[id]; p.metric == metric && p.floats == floats && t.sameAttributes(p, attrs) {
			*t.after(metric, prev) = id
			return id, false, accepted
		}
	}
	if why = t.checkAttributes(attrs); why != accepted {
		return 0, false, why
	}
	p := point{metric: metric, floats: floats, keys: t.findKeys(attrs), values: length(t.values), refs: length(t.refs)}
	for _, v := range attrs.All() {
		t.values = append(t.values, t.batch.Symbol(asString(v)))
	}
	id = length(t.entries)
	t.entries = append(t.entries, p)
	t.pointIndex.add(hash, id)
	*t.after(metric, prev) = id
	return id, true, accepted
}

// after is where the cache has the point behind prev, or the first point of a metric where prev is 0.
func (t *Translator) after(metric, prev uint32) *uint32 {
	if prev == 0 {
		return &t.metrics[metric].first
	}
	return &t.entries[prev].next
}

func (t *Translator) sameAttributes(p *point, attrs pcommon.Map) bool {
	keys := t.keys.at(p.keys)
	if attrs.Len() != len(keys) {
		return false
	}
	values := t.values[p.values:][:len(keys)]
	i := 0
	for k, v := range attrs.All() {
		if t.text(keys[i]) != k || !t.sameValue(values[i], v) {
			return false
		}
		i++
	}
	return true
}

func (t *Translator) sameValue(symbol samplelog.Symbol, v pcommon.Value) bool {
	if s := v.Str(); s != "" {
		return s == t.text(symbol)
	}
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return symbol == 0
	case pcommon.ValueTypeInt:
		var buf [20]byte
		return string(strconv.AppendInt(buf[:0], v.Int(), 10)) == t.text(symbol)
	default:
		return v.AsString() == t.text(symbol)
	}
}

// checkAttributes says whether attributes can be labels.
func (t *Translator) checkAttributes(attrs pcommon.Map) Reason {
	t.strings = t.strings[:0]
	why := accepted
	for k, v := range attrs.All() {
		if k == "" || !utf8.ValidString(k) || !utf8.ValidString(asString(v)) {
			why = ReasonLabel
		}
		t.strings = append(t.strings, k)
	}
	slices.Sort(t.strings)
	for i := 1; i < len(t.strings); i++ {
		if t.strings[i] == t.strings[i-1] {
			why = ReasonLabel
		}
	}
	clear(t.strings) // let go of the batch
	return why
}

// findKeys returns the list of the names of attributes.
func (t *Translator) findKeys(attrs pcommon.Map) uint32 {
	t.symbols = t.symbols[:0]
	for k := range attrs.All() {
		t.symbols = append(t.symbols, t.batch.Symbol(k))
	}
	hash := hashSymbols(t.symbols)
	for s := t.keyIndex.search(hash); ; {
		id, found := t.keyIndex.next(&s)
		if !found {
			break
		}
		if slices.Equal(t.keys.at(id), t.symbols) {
			return id
		}
	}
	id := t.keys.add(t.symbols)
	t.keyIndex.add(hash, id)
	return id
}

// findPointWithFloats is findPoint for a point with the floats t.bounds, which are probably those of the point behind prev.
func (t *Translator) findPointWithFloats(metric uint32, attrs pcommon.Map, prev uint32) (id uint32, fresh bool, why Reason) {
	if id := *t.after(metric, prev); id != 0 {
		if floats := t.entries[id].floats; equalFloats(t.floats.at(floats), t.bounds) {
			return t.findPoint(metric, attrs, floats, prev)
		}
	}
	if why := t.checkAttributes(attrs); why != accepted { // what is refused must not grow the cache
		return 0, false, why
	}
	return t.findPoint(metric, attrs, t.findFloats(), prev)
}

// findFloats returns the list that t.bounds is in the cache.
func (t *Translator) findFloats() uint32 {
	if len(t.bounds) == 0 {
		return 0
	}
	h := uint64(len(t.bounds))
	for _, f := range t.bounds {
		h = mix(h, math.Float64bits(f))
	}
	hash := fold(h)
	for s := t.floatsIdx.search(hash); ; {
		id, found := t.floatsIdx.next(&s)
		if !found {
			break
		}
		if equalFloats(t.floats.at(id), t.bounds) {
			return id
		}
	}
	id := t.floats.add(t.bounds)
	t.floatsIdx.add(hash, id)
	return id
}

// equalFloats compares bits: NaN is a quantile like others.
func equalFloats(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Float64bits(a[i]) != math.Float64bits(b[i]) {
			return false
		}
	}
	return true
}
