// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

import (
	"cmp"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Bounds of the caches that are keyed by what targets expose: entries, and bytes of a key.
const (
	maxCachedNames  = 1 << 14
	maxCachedLength = 256
)

// maxMoved is how many forged resource attributes are kept under an exported_ name; there are more than a few only in an attack.
const maxMoved = 16

// pointIdentity are labels that the exporter sets from the resource and the metric. A point must not bring its own.
var pointIdentity = []string{model.MetricNameLabel, model.JobLabel, model.InstanceLabel}

// identity is the runner's metadata, and the rule that nothing a target exposes can pass for it.
type identity struct {
	keys   []string // sorted
	values map[string]string
	namers []otlptranslator.LabelNamer

	collisions map[string]string // attribute name -> the identity label that it would become; "" for none
}

func newIdentity(metadata map[string]string) *identity {
	return &identity{
		keys:   sortedKeys(metadata),
		values: metadata,
		// The ways in which exporters turn an attribute name into a label name: all are guarded, whichever one is in use.
		namers:     []otlptranslator.LabelNamer{{UTF8Allowed: true}, {}, {UnderscoreLabelSanitization: true}, {PreserveMultipleUnderscores: true}},
		collisions: map[string]string{},
	}
}

// collision returns the identity label that an attribute would become in the store, or "".
func (id *identity) collision(name string) string {
	if key, ok := id.collisions[name]; ok {
		return key
	}
	if len(id.collisions) >= maxCachedNames {
		clear(id.collisions)
	}
	key := id.findCollision(name)
	if len(name) <= maxCachedLength {
		id.collisions[name] = key
	}
	return key
}

func (id *identity) findCollision(name string) string {
	for i := range id.namers {
		label, err := id.namers[i].Build(name)
		if err != nil {
			continue
		}
		if _, ok := id.values[label]; ok || slices.Contains(pointIdentity, label) {
			return label
		}
	}
	return ""
}

// spoofs reports whether an attribute has to make way for the runner's identity. One that has our name and our value already,
// as a target label from relabelling may, says the same and stays.
func (id *identity) spoofs(name, value string) (key string, yes bool) {
	key = id.collision(name)
	if key == "" || name == key && value == id.values[key] {
		return "", false
	}
	return key, true
}

// exportedNames follows Prometheus's rule for a label that a target exposes under the name of a target label: it is prefixed with
// exported_ until the name is free (scrape/scrape.go, resolveConflictingExposedLabels).
type exportedNames struct {
	taken map[string]bool
	last  map[string]string // by key, the name that was given last: where it is taken, all shorter ones are
}

func newExportedNames() *exportedNames {
	return &exportedNames{taken: map[string]bool{}, last: map[string]string{}}
}

func (e *exportedNames) next(key string) string {
	name := cmp.Or(e.last[key], key)
	for {
		name = model.ExportedLabelPrefix + name
		if !e.taken[name] {
			e.taken[name], e.last[key] = true, name
			return name
		}
	}
}

// stamp writes the runner's metadata to a resource. What was there under such a name becomes exported_<name>.
func (id *identity) stamp(attrs pcommon.Map) {
	var moved []label
	names := newExportedNames()
	attrs.RemoveIf(func(name string, v pcommon.Value) bool {
		value := asString(v)
		key, yes := id.spoofs(name, value)
		if !yes || id.values[key] == "" { // job and instance are for the resource to have
			names.taken[name] = true
			return false
		}
		if len(moved) < maxMoved {
			moved = append(moved, label{name: key, value: value})
		}
		return true
	})
	slices.SortStableFunc(moved, func(a, b label) int { return len(a.name) - len(b.name) })
	for _, l := range moved {
		attrs.PutStr(names.next(l.name), l.value)
	}
	for _, key := range id.keys {
		attrs.PutStr(key, id.values[key])
	}
}
