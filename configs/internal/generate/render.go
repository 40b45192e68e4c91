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
	// receiver is the exporter's receiver profile.
	receiver string
	// exporter is what stands in the exporter's section after the timeout. Empty: nothing.
	exporter string
	// extension is the authenticator's type, extensionConfig its section. Empty: no authenticator.
	extension       string
	extensionConfig string
	// exporters is the whole section of the exporter, where it is another one. Empty: durable_remote_write.
	exporters string
	// edits are changes of other places: the text and what comes in its place.
	edits []edit
}

// edit puts a text in the place of another, which occurs exactly once.
type edit struct{ place, text string }

// These are the places of collector.yaml that a variant changes. Each occurs in it exactly once.
const (
	placeAbout       = "# The collector of one runner:"
	placeEnv         = "#   SCRAPE_INTERVAL  "
	placeRequiredEnv = "REMOTE_WRITE_URL]"
	placeExporter    = "    timeout: 30s\n"
	placeReceiver    = "    receiver: auto\n"
	placeExtension   = "\nservice:\n"
	placeExporters   = "\nexporters:\n"
	placeExtensions  = "\nextensions:\n"
	placeService     = "extensions: [health_check]"
)

// render makes the variant out of base, the text of collector.yaml. It fails when base no longer has one of the
// places that a variant changes.
func (v variant) render(base string) (string, error) {
	about := "# Code generated from " + source + " by `go generate ./configs`. DO NOT EDIT.\n#\n" + comment(v.about) + "#\n" + placeAbout
	edits := []edit{
		{placeAbout, about},
		{placeEnv, comment(v.env) + placeEnv},
		{placeRequiredEnv, strings.Join(append([]string{"REMOTE_WRITE_URL"}, v.requiredEnv...), ", ") + "]"},
	}
	if v.receiver != "" {
		edits = append(edits, edit{placeReceiver, "    receiver: " + v.receiver + "\n"}, edit{placeExporter, placeExporter + indent(v.exporter, "    ")})
	}
	if v.extension != "" {
		edits = append(edits,
			edit{placeExporter, placeExporter + "    auth:\n      authenticator: " + v.extension + "\n"},
			edit{placeExtension, "\n" + indent(v.extensionConfig, "  ") + placeExtension},
			edit{placeService, "extensions: [health_check, " + v.extension + "]"})
	}
	edits = append(edits, v.edits...)
	text := base
	for _, e := range edits {
		if n := strings.Count(text, e.place); n != 1 {
			return "", fmt.Errorf("%s has the text %q %d times, it has to be there once: adapt the places in render.go", source, e.place, n)
		}
		text = strings.Replace(text, e.place, e.text, 1)
	}
	if v.exporters == "" {
		return text, nil
	}
	before, rest, found := strings.Cut(text, placeExporters)
	_, after, ends := strings.Cut(rest, placeExtensions)
	if !found || !ends {
		return "", fmt.Errorf("%s has no section between %q and %q: adapt the places in render.go", source, placeExporters, placeExtensions)
	}
	return before + placeExporters + v.exporters + placeExtensions + after, nil
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
