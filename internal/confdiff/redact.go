// SPDX-License-Identifier: Apache-2.0

package confdiff

import (
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kubiyabot/otelcol-runner/internal/secrets"
)

// redact replaces what looks like a secret in labels and URLs. A configuration without a runner processor delivers what its
// targets say.
func (d *Diff) redact() {
	for i := range d.Added {
		d.Added[i] = redacted(d.Added[i])
	}
	for i := range d.Removed {
		d.Removed[i] = redacted(d.Removed[i])
	}
	for i := range d.Values {
		d.Values[i].Series = redacted(d.Values[i].Series)
	}
	for i := range d.Relabelled {
		r := &d.Relabelled[i]
		r.Before, r.After = redacted(r.Before), redacted(r.After)
		for k := range r.Changes {
			r.Changes[k].From, r.Changes[k].To = shown(r.Changes[k].From), shown(r.Changes[k].To)
		}
	}
	for _, list := range [][]Target{d.Targets.Added, d.Targets.Removed} {
		for i := range list {
			list[i].URL = shown(list[i].URL)
		}
	}
	for i := range d.Targets.Repeated {
		d.Targets.Repeated[i].URL = shown(d.Targets.Repeated[i].URL)
	}
}

func redacted(ls labels.Labels) labels.Labels {
	b := labels.NewBuilder(ls)
	ls.Range(func(l labels.Label) { b.Set(l.Name, shown(l.Value)) })
	return b.Labels()
}

// shown is a value as it may be shown.
func shown(value string) string {
	if kind := secrets.Find(value); kind != "" {
		return "<redacted:" + kind + ">"
	}
	return value
}
