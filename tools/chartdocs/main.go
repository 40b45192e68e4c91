// SPDX-License-Identifier: Apache-2.0

// Chartdocs writes what documents say about the charts and can be known from them: each chart's README, the table of versions, the rules and flows
// of the security page, the values of the previous chart, and the list of images. With -check it compares instead.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	root := flag.String("root", "../..", "the repository")
	check := flag.Bool("check", false, "write nothing, and fail where a file is not as it would be written")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "chartdocs:", err)
		os.Exit(1)
	}
}

// generators return the whole content of files, by their path in the repository.
var generators = []func(root string) (map[string][]byte, error){readmes, compatibility, images, security, upgrading}

func run(root string, check bool) error {
	var stale []string
	for _, generate := range generators {
		contents, err := generate(root)
		if err != nil {
			return err
		}
		for name, want := range contents {
			path := filepath.Join(root, name)
			if got, err := os.ReadFile(path); err == nil && bytes.Equal(got, want) { //nolint:gosec // a file of the repository
				continue
			}
			if check {
				stale = append(stale, name)
				continue
			}
			if err := os.WriteFile(path, want, 0o644); err != nil { //nolint:gosec // for everybody to read
				return err
			}
		}
	}
	if len(stale) > 0 {
		return fmt.Errorf("not up to date: %s: run `make chart-docs` and commit what it writes", strings.Join(stale, ", "))
	}
	return nil
}

// section replaces what is between the two marks of a generated section.
func section(text, name, content string) (string, error) {
	begin, end := "<!-- generated: "+name+" -->\n", "<!-- end of "+name+" -->"
	before, rest, found := strings.Cut(text, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", fmt.Errorf("there is no section between %q and %q", strings.TrimSpace(begin), end)
	}
	return before + begin + "\n" + strings.TrimSpace(content) + "\n\n" + end + after, nil
}

// withSections reads a page and replaces its generated sections, each given as name and content.
func withSections(root, path string, sections [][2]string) (map[string][]byte, error) {
	read, err := os.ReadFile(filepath.Join(root, path)) //nolint:gosec // a file of the repository
	if err != nil {
		return nil, err
	}
	text := string(read)
	for _, s := range sections {
		if text, err = section(text, s[0], s[1]); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return map[string][]byte{path: []byte(text)}, nil
}

// table writes a table of Markdown.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(head)
	b.WriteString(strings.Repeat("| --- ", len(head)) + "|\n")
	for _, row := range rows {
		line(row)
	}
	return b.String()
}
