// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/scrape"
)

// Target is what discovery found, and what relabelling made of it.
type Target struct {
	// Receiver and Job say which scrape configuration it is of.
	Receiver, Job string
	// Source is the object that discovery took it from: pod/namespace/name.
	Source string
	// Discovered are the labels before relabelling, with all of __meta_*.
	Discovered labels.Labels
	// Labels are those of its series: without __*. Empty for a target that is dropped.
	Labels labels.Labels
	// URL is what is scraped. Empty for a target that is dropped.
	URL string
	// DroppedBy is the index of the rule in relabel_configs that dropped it; -1 for none.
	DroppedBy int
	// Duplicate says that the job has the same target already: it is scraped once.
	Duplicate bool
	// Err says why relabelling left something that cannot be scraped.
	Err error
}

// Kept says whether it is scraped.
func (t *Target) Kept() bool { return t.DroppedBy < 0 && t.Err == nil && !t.Duplicate }

// Step is what one rule did.
type Step struct {
	// Rule is the index in relabel_configs or metric_relabel_configs.
	Rule int
	// Before and After are the labels. After is empty where the rule dropped.
	Before, After labels.Labels
	// Kept is false where the rule dropped.
	Kept bool
}

// Trace applies rules one after the other, until one drops. Labels are as Prometheus has them at that point.
func Trace(ls labels.Labels, rules []*relabel.Config) []Step {
	steps := make([]Step, 0, len(rules))
	for i, rule := range rules {
		builder := labels.NewBuilder(ls)
		kept := relabel.ProcessBuilder(builder, rule)
		step := Step{Rule: i, Before: ls, Kept: kept}
		if kept {
			step.After = builder.Labels()
		}
		steps = append(steps, step)
		if !kept {
			break
		}
		ls = step.After
	}
	return steps
}

// targetsOf makes targets of what discovery found, with Prometheus's own code, and finds out which rule dropped the others.
func targetsOf(jobs []Job, groups found) []Target {
	var all []Target
	builder := labels.NewBuilder(labels.EmptyLabels())
	for _, job := range jobs {
		seen := map[string]bool{}
		for _, group := range groups[jobKey{job.Receiver, job.Name}] {
			for _, own := range group.Targets {
				scrape.PopulateDiscoveredLabels(builder, job.Scrape, own, group.Labels)
				t := Target{Receiver: job.Receiver, Job: job.Name, Source: sourceOf(group), Discovered: builder.Labels(), DroppedBy: -1}
				final, err := scrape.PopulateLabels(builder, job.Scrape, own, group.Labels)
				switch {
				case err != nil:
					t.Err = err
				case final.IsEmpty():
					steps := Trace(t.Discovered, job.Scrape.RelabelConfigs)
					t.DroppedBy = len(steps) - 1
				default:
					target := scrape.NewTarget(final, job.Scrape, own, group.Labels)
					t.URL, t.Labels = target.URL().String(), target.Labels(builder)
					key := t.URL + "\x00" + string(t.Labels.Bytes(nil))
					t.Duplicate = seen[key]
					seen[key] = true
				}
				all = append(all, t)
			}
		}
	}
	return all
}

// sourceOf is the object behind a group, without the number that keeps the mechanisms of a job apart.
func sourceOf(g *targetgroup.Group) string {
	for i := range g.Source {
		if g.Source[i] == '/' {
			return g.Source[i+1:]
		}
	}
	return g.Source
}
