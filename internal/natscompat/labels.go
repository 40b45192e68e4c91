// SPDX-License-Identifier: Apache-2.0

package natscompat

import "slices"

// operation is what a processor does to a label on the way to NATS.
type operation struct {
	pipeline  *pipeline
	processor string // its ID
	action    string
	label     string // that it sets
	from      string // of update_label: what the label was called
}

// sets says whether the operation gives a series the label, whatever it had.
func (o *operation) sets(label string) bool {
	return o.label == label && (o.action == "add_label" || o.action == "upsert" || o.action == "insert")
}

// readOperations reads them from the processors of the pipelines that deliver metrics to NATS.
func (t *translation) readOperations() {
	for _, p := range t.pipelines {
		if p.signal != signalMetrics || !p.toNATS() {
			continue
		}
		for _, id := range p.ids["processors"] {
			settings := section(t.config, "processors", id)
			switch typeOf(id) {
			case "resource":
				t.readOperationList(p, id, settings["attributes"], "key", "")
			case "metricstransform", "metrics_transform":
				for _, transform := range list(settings["transforms"]) {
					transform, _ := transform.(map[string]any)
					t.readOperationList(p, id, transform["operations"], "new_label", "label")
				}
			}
		}
	}
}

// readOperationList reads a list in which each has an action, and keys for the label that it sets and for what that was called.
func (t *translation) readOperationList(p *pipeline, id string, items any, label, from string) {
	for _, item := range list(items) {
		keys, _ := item.(map[string]any)
		o := operation{pipeline: p, processor: id}
		o.action, _ = keys["action"].(string)
		o.label, _ = keys[label].(string)
		o.from, _ = keys[from].(string)
		t.operations = append(t.operations, o)
	}
}

// setsOrganization is the key of a processor that sets the label organization; empty where a pipeline has none.
func (t *translation) setsOrganization() (by string) {
	for _, p := range t.pipelines {
		if p.signal != signalMetrics || !p.toNATS() {
			continue
		}
		i := slices.IndexFunc(t.operations, func(o operation) bool { return o.pipeline == p && o.sets("organization") })
		if i < 0 {
			return ""
		}
		by = "processors::" + t.operations[i].processor
	}
	return by
}

// resourceLabels are the exporter's default and what `resource` sets: old series had nothing else of their resources.
func (t *translation) resourceLabels() []any {
	labels := []string{"organization", "runner", "kubiya_type", "namespace", "app"}
	others := []string{"", "job", "instance"} // not for a resource to say
	for i := range t.operations {
		o := &t.operations[i]
		if typeOf(o.processor) == "resource" && o.action != "delete" && !slices.Contains(labels, o.label) && !slices.Contains(others, o.label) {
			labels = append(labels, o.label)
		}
	}
	return anys(labels)
}

// instance says what becomes of the label instance, which used to be the organization.
func (t *translation) instance() {
	i := slices.IndexFunc(t.operations, func(o operation) bool {
		return o.sets("instance") || o.action == "update_label" && o.from == "instance"
	})
	if i < 0 || t.nats == "" {
		return
	}
	path := "processors::" + t.operations[i].processor
	c := t.change(path, "the target's host and port", "with the organization, targets that no other label tells apart would overwrite each other; "+
		"RUNNER_INSTANCE=organization is as it was")
	c.From, c.Warn = "the organization as label instance, by "+path, true
	if org := t.org(); org != "" && t.getenv("RUNNER_INSTANCE") == "organization" {
		c.To, c.Why, c.Warn = "the same", "RUNNER_INSTANCE says so: targets that no other label tells apart are one series", false
		t.attribute(c, "service.instance.id", org)
	}
}
