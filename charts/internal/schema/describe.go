// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// descriptions are the comments of a values file in the form that helm-docs reads (`# -- text`), by the path of the key:
// editors show them.
func descriptions(path string) (map[string]string, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the caller's own folder
	if err != nil {
		return nil, fmt.Errorf("reading the values that a schema is for: %w", err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	found := map[string]string{}
	for _, root := range document.Content {
		describe(root, "", found)
	}
	return found, nil
}

func describe(node *yaml.Node, path string, found map[string]string) {
	if node.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := join(path, node.Content[i].Value)
		if text := description(node.Content[i].HeadComment); text != "" {
			found[key] = text
		}
		describe(node.Content[i+1], key, found)
	}
}

var annotation = regexp.MustCompile(`^@\w+ -- `)

// description is what follows the last `# -- ` of a comment, as one line.
func description(comment string) string {
	_, text, found := strings.Cut("\n"+comment, "\n# -- ")
	if !found {
		return ""
	}
	var words []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "#"))
		if !annotation.MatchString(line) {
			words = append(words, strings.Fields(line)...)
		}
	}
	return regexp.MustCompile(`^\([\w/]+\) `).ReplaceAllString(strings.Join(words, " "), "")
}
