// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"sync"

	"sigs.k8s.io/yaml"
)

const ruleAllowed = "allowed"

// allowance is what one values file may break: it is there to show that a customer may choose so. The charts' defaults get none.
type allowance struct {
	Values  string   `json:"values"` // runner/ci/network-off-values.yaml
	Rules   []string `json:"rules"`
	Because string   `json:"because"`
}

// allowances remembers which were needed: one that is not is a hole that nobody sees.
type allowances struct {
	file string
	list []allowance

	mu   sync.Mutex // guards used
	used map[[2]string]bool
}

func loadAllowances(file string) (*allowances, error) {
	data, err := os.ReadFile(file) //nolint:gosec // a file of the repository
	if err != nil {
		return nil, err
	}
	a := &allowances{file: file, used: map[[2]string]bool{}}
	if err := yaml.UnmarshalStrict(data, &a.list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return a, nil
}

// without takes out what a values file may break.
func (a *allowances) without(violations []Violation) []Violation {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(violations, func(v Violation) bool {
		for _, entry := range a.list {
			if entry.Values == v.Source && slices.Contains(entry.Rules, v.Rule) {
				a.used[[2]string{v.Source, v.Rule}] = true
				return true
			}
		}
		return false
	})
}

// judge gives the entries that say nothing, or that nothing needs.
func (a *allowances) judge() []Violation {
	var violations []Violation
	for _, entry := range a.list {
		add := func(object, message string) {
			violations = append(violations, Violation{Rule: ruleAllowed, Source: a.file, Object: entry.Values + ": " + object, Message: message})
		}
		if entry.Because == "" {
			add("because", "is empty: say why it may")
		}
		for _, rule := range entry.Rules {
			if !a.used[[2]string{entry.Values, rule}] {
				add(rule, "is not broken there: remove the entry")
			}
		}
	}
	return violations
}
