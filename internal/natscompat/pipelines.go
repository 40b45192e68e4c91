// SPDX-License-Identifier: Apache-2.0

package natscompat

import (
	"slices"
	"strings"
)

// rewire puts the new exporters into the pipelines, and takes out what has none left.
func (t *translation) rewire() {
	for _, p := range t.pipelines {
		old, nats := p.ids["exporters"], p.toNATS()
		exporters := t.renamed(p.signal, old)
		p.ids["exporters"] = exporters
		why, lost := "they have these names now", nats && p.signal != signalMetrics
		if lost {
			why = p.signal + " went to NATS, and the exporter that takes its place delivers metrics only: what arrives here is not delivered any more"
		}
		switch {
		case slices.Equal(old, exporters):
			continue
		case len(exporters) > 0:
			t.change(p.path+"::exporters", strings.Join(exporters, ", "), why, Edit{p.path + "::exporters", anys(exporters)}).Warn = lost
		default:
			t.takeOut(p.path, why).Warn = true
			*p = pipeline{}
			continue
		}
		if nats && !lost {
			t.processors(p)
		}
	}
}

// renamed are exporters of a pipeline by their new IDs, each once.
func (t *translation) renamed(signal string, old []string) []string {
	var out []string
	for _, id := range old {
		if renamed, ok := t.exporters[id]; ok {
			if typeOf(id) == natsType && signal != signalMetrics {
				continue
			}
			id = renamed
		}
		if id != "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// processors takes batch out of a pipeline, and puts in what sets attributes.
func (t *translation) processors(p *pipeline) {
	batches := ofType(p.ids["processors"], batchType, true)
	kept := ofType(p.ids["processors"], batchType, false)
	if len(t.attributes) > 0 {
		kept = append(kept, addedProcessor)
	}
	p.ids["processors"] = kept
	edit := Edit{p.path + "::processors", anys(kept)}
	if len(batches) > 0 {
		t.change(edit.Path, takenOut, "it would hold in memory what the exporter keeps on disk, and makes batches of itself", edit).
			From += ": " + strings.Join(batches, ", ")
	}
	if len(t.attributes) > 0 {
		t.change(edit.Path, strings.Join(kept, ", "), "the last one sets what is said above", edit)
	}
}

// used are the keys of the components that pipelines use.
func (t *translation) used() map[string]any {
	used := map[string]any{}
	for _, p := range t.pipelines {
		for role, ids := range p.ids {
			for _, id := range ids {
				used[role+"::"+id] = true
			}
		}
	}
	return used
}

// takeOutUnused takes the definitions of components out that only pipelines used that are gone: the distribution may not have their types.
func (t *translation) takeOutUnused(before map[string]any) {
	now := t.used()
	for _, path := range sortedKeys(before) {
		role, id, _ := strings.Cut(path, "::")
		if _, defined := section(t.config, role)[id]; defined && role != "exporters" && now[path] == nil {
			t.takeOut(path, "no pipeline is left that uses it")
		}
	}
}
