// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// upgrading writes the table of the previous chart's values into the runner's UPGRADING.md.
func upgrading(root string) (map[string][]byte, error) {
	const source = "internal/legacyvalues/table.yaml"
	text, err := os.ReadFile(filepath.Join(root, source)) //nolint:gosec // a file of the repository
	if err != nil {
		return nil, err
	}
	var entries []struct{ Old, Action, New, Reason string }
	if err := yaml.Unmarshal(text, &entries); err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	var rows [][]string
	for _, entry := range entries {
		renamed := "—"
		if entry.New != "" {
			renamed = "`" + entry.New + "`"
		}
		rows = append(rows, []string{"`" + entry.Old + "`", entry.Action, renamed, entry.Reason})
	}
	return withSections(root, "charts/runner/UPGRADING.md", [][2]string{{"values", table([]string{"old", "what happens", "new", "why"}, rows)}})
}
