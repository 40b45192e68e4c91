// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

// variant is what one backend needs beside collector.yaml. The texts are YAML with their comments, indented as if
// they stood at the left margin.
type variant struct {
	// file is the name of the file in configs/.
	file string
	// about is the first paragraph of the file: what it delivers to, and what the backend is known to do.
	about string
	// env are lines for the table of environment variables, "NAME default meaning" in its columns.
	env string
	// requiredEnv are the names of those without which the collector cannot start.
	requiredEnv []string
	// http is what stands in the exporter's http section after the timeout. Empty: nothing.
	http string
	// extension is the authenticator's type, extensionConfig its section. Empty: no authenticator.
	extension       string
	extensionConfig string
}

// These are the places of collector.yaml that a variant changes. Each occurs in it exactly once.
const (
	placeAbout       = "# The collector of one runner:"
	placeEnv         = "#   SCRAPE_INTERVAL  "
	placeRequiredEnv = "REMOTE_WRITE_URL]"
	placeHTTP        = "      timeout: 30s\n"
	placeExtension   = "\nservice:\n"
	placeService     = "extensions: [health_check]"
)

// render makes the variant out of base, the text of collector.yaml. It fails when base no longer has one of the
// places that a variant changes.
func (v variant) render(base string) (string, error) {
	about := "# Code generated from " + source + " by `go generate ./configs`. DO NOT EDIT.\n#\n" + comment(v.about) + "#\n" + placeAbout
	edits := []struct{ place, text string }{
		{placeAbout, about},
		{placeEnv, comment(v.env) + placeEnv},
		{placeRequiredEnv, strings.Join(append([]string{"REMOTE_WRITE_URL"}, v.requiredEnv...), ", ") + "]"},
		{placeHTTP, placeHTTP + indent(v.http, "      ")},
	}
	if v.extension != "" {
		edits = append(edits,
			struct{ place, text string }{placeHTTP, placeHTTP + "      auth:\n        authenticator: " + v.extension + "\n"},
			struct{ place, text string }{placeExtension, "\n" + indent(v.extensionConfig, "  ") + placeExtension},
			struct{ place, text string }{placeService, "extensions: [health_check, " + v.extension + "]"})
	}
	text := base
	for _, e := range edits {
		if n := strings.Count(text, e.place); n != 1 {
			return "", fmt.Errorf("%s has the text %q %d times, it has to be there once: adapt the places in render.go", source, e.place, n)
		}
		text = strings.Replace(text, e.place, e.text, 1)
	}
	return text, nil
}

func comment(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight("# "+strings.TrimSuffix(line, "\n"), " ") + "\n")
	}
	return b.String()
}

func indent(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(by + line)
	}
	return b.String()
}
