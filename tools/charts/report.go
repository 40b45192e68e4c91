// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Violation is one thing that is wrong: what, where, and what to do.
type Violation struct {
	Rule    string // image-tag-pinned
	Source  string // the values file or manifest: otel/ci/azure-values.yaml
	Object  string // Kind/namespace/name, or a place in a file
	Message string
	Remedy  string
}

// report prints violations as they come, each once: most are the same for every version of Kubernetes and many values files.
type report struct {
	out io.Writer

	mu         sync.Mutex // guards what is below
	violations []Violation
	seen       map[string]bool
	last       time.Time
}

// say writes to standard error, where nobody is told of an error.
func (r *report) say(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format, args...) }

func (r *report) step(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if !r.last.IsZero() {
		r.say("   %.1f s\n", now.Sub(r.last).Seconds())
	}
	r.last = now
	r.say("== "+format+"\n", args...)
}

func (r *report) add(violations ...Violation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range violations {
		key := strings.Join([]string{v.Rule, v.Source, v.Object, v.Message}, "\x00")
		if r.seen[key] {
			continue
		}
		if r.seen == nil {
			r.seen = map[string]bool{}
		}
		r.seen[key] = true
		r.violations = append(r.violations, v)
		line := fmt.Sprintf("   [%s] %s: %s: %s", v.Rule, v.Source, v.Object, v.Message)
		if v.Remedy != "" {
			line += ": " + v.Remedy
		}
		r.say("%s\n", line)
	}
}

// broken says how often each rule is broken.
func (r *report) broken() []string {
	counts := map[string]int{}
	for _, v := range r.violations {
		counts[v.Rule]++
	}
	var broken []string
	for _, rule := range slices.Sorted(maps.Keys(counts)) {
		broken = append(broken, fmt.Sprintf("%s: %d", rule, counts[rule]))
	}
	return broken
}

// count fills in the counts that have a key of their own.
func (f *Figures) count(violations []Violation) {
	f.Violations = len(violations)
	for _, v := range violations {
		switch v.Rule {
		case ruleClusterScoped:
			f.ClusterScoped++
		case ruleMovingTag:
			f.MovingTags++
		}
	}
}
