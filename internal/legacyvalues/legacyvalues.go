// SPDX-License-Identifier: Apache-2.0

// Package legacyvalues says what became of the Helm values of the runner's previous chart. The table is data: the schemas of the
// charts are made with it, so that they refuse an old key by its name and say which is the new one, and a migration reads it.
package legacyvalues

import (
	_ "embed"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Action is what happens to an old key.
type Action string

const (
	// Keep is a key that still works, under the same name.
	Keep Action = "keep"
	// Rename is a key whose value goes to another key as it is.
	Rename Action = "rename"
	// Refuse is a key whose value cannot be taken over: somebody has to do what the reason says.
	Refuse Action = "refuse"
	// Drop is a key that has no effect any more and can be deleted.
	Drop Action = "drop"
)

// Entry is one old key. Everything below a key goes with it, unless it has an entry of its own.
type Entry struct {
	// Old is the path of the key in the old values, with dots.
	Old string `yaml:"old"`
	// Action is what happens to it.
	Action Action `yaml:"action"`
	// New is the path in the new values. It is empty where nothing takes the key's place.
	New string `yaml:"new,omitempty"`
	// Reason says why, and what to do where that is not obvious: one or more whole sentences.
	Reason string `yaml:"reason"`
}

//go:embed table.yaml
var table []byte

// Table returns the entries in the order of the file.
func Table() ([]Entry, error) {
	var entries []Entry
	if err := yaml.Unmarshal(table, &entries); err != nil {
		return nil, fmt.Errorf("internal/legacyvalues/table.yaml: %w", err)
	}
	return entries, nil
}
