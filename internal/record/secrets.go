// SPDX-License-Identifier: Apache-2.0

package record

import (
	"fmt"
	"strconv"

	"github.com/kubiyabot/otelcol-runner/internal/secrets"
)

// tally counts distinct things by what they are.
type tally map[string]map[string]bool

func (t tally) add(what, id string) {
	if t[what] == nil {
		t[what] = map[string]bool{}
	}
	t[what][id] = true
}

func (t tally) counts() map[string]int {
	counts := make(map[string]int, len(t))
	for what, ids := range t {
		counts[what] = len(ids)
	}
	return counts
}

// redactor replaces what looks like a secret, the same one always by the same word. It is for one goroutine.
type redactor struct {
	words map[string]string // by secret
	kinds map[string]int    // secrets, by kind
	found tally             // words, by kind and place
}

func newRedactor() *redactor {
	return &redactor{words: map[string]string{}, kinds: map[string]int{}, found: tally{}}
}

// redact returns the value, or the word that stands for it when it is none that may be written. Place says where it is.
func (r *redactor) redact(place, value string) (string, bool) {
	kind := secrets.Find(value)
	if kind == "" {
		return value, false
	}
	word, known := r.words[value]
	if !known {
		r.kinds[kind]++
		word = fmt.Sprintf("redacted-%s-%d", kind, r.kinds[kind])
		r.words[value] = word
	}
	r.found.add(kind+" in "+place, word)
	return word, true
}

// pseudonyms gives the values of a label other names, the same one always the same.
type pseudonyms struct {
	labels map[string]map[string]string // by label, by value
}

func newPseudonyms(labels []string) *pseudonyms {
	p := &pseudonyms{labels: map[string]map[string]string{}}
	for _, label := range labels {
		p.labels[label] = map[string]string{}
	}
	return p
}

func (p *pseudonyms) of(label, value string) (string, bool) {
	names, wanted := p.labels[label]
	if !wanted || value == "" {
		return value, false
	}
	name, known := names[value]
	if !known {
		name = label + "-" + strconv.Itoa(len(names)+1)
		names[value] = name
	}
	return name, true
}
