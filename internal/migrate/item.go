// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"cmp"
	"slices"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
)

// Action is what became of a key.
type Action string

// What can become of a key.
const (
	// Kept is a key that is taken over as it is.
	Kept Action = "kept"
	// Changed is a key that has another name, another place or another value.
	Changed Action = "changed"
	// Dropped is a key that nothing needs any more.
	Dropped Action = "dropped"
	// Refused is a key that was not taken over, and that somebody has to look at.
	Refused Action = "refused"
)

// Actions are all of them, in the order of a report: first what has to be looked at.
func Actions() []Action { return []Action{Refused, Changed, Dropped, Kept} }

// Item is what became of one key.
type Item struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Key    string `json:"key"`
	Action Action `json:"action"`
	// To is the new key, or what became of it in words. Empty: nothing takes its place.
	To string `json:"to,omitempty"`
	// Reason says why, and what to do where something is to be done.
	Reason string `json:"reason"`
	// Look says that it is delivered otherwise than before, or that somebody should decide about it.
	Look bool `json:"look,omitempty"`
}

// collect gathers items about one file.
type collect struct {
	file  *configfile.File
	items []Item
}

func (c *collect) add(line int, key string, action Action, to, reason string) {
	c.items = append(c.items, Item{File: c.file.Name, Line: line, Key: key, Action: action, To: to, Reason: reason, Look: action == Refused})
}

// sortItems puts them in the order of the text.
func sortItems(items []Item) {
	slices.SortStableFunc(items, func(a, b Item) int { return cmp.Compare(a.Line, b.Line) })
}
