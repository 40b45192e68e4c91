// SPDX-License-Identifier: Apache-2.0

package scope

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed stage1.txt
var stage1 string

// Profiles lists the names that Profile knows.
func Profiles() []string { return []string{"none", "stage1"} }

// Profile returns the metrics of a named list. `stage1` is what the runner's dashboards and alerts read; `none` is empty, for
// a scope that is written out in full under include. The error of an unknown name says which names there are.
func Profile(name string) ([]Pattern, error) {
	switch name {
	case "none":
		return nil, nil
	case "stage1":
		return parseList(stage1), nil
	}
	return nil, fmt.Errorf("unknown profile %q: use one of %s", name, strings.Join(Profiles(), ", "))
}

func parseList(text string) []Pattern {
	var out []Pattern
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		out = append(out, Pattern(line))
	}
	return out
}
