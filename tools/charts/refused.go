// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const ruleRefused = "refused"

// refusal is a values file that a chart has to refuse, and what the message has to say. Its first comment is `# refused: <part of the message>`.
type refusal struct {
	file string
	want string
}

// label is how the file is called in the report.
func (r refusal) label() string {
	return filepath.Join("refused", filepath.Base(filepath.Dir(r.file)), filepath.Base(r.file))
}

// loadRefusals reads the files of a chart below dir.
func loadRefusals(dir, chart string) ([]refusal, error) {
	files, err := filepath.Glob(filepath.Join(dir, chart, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var refusals []refusal
	for _, file := range files {
		data, err := os.ReadFile(file) //nolint:gosec // the path comes from a listing of test data
		if err != nil {
			return nil, err
		}
		_, rest, _ := strings.Cut(string(data), "# refused: ")
		want, _, _ := strings.Cut(rest, "\n")
		if want == "" {
			return nil, fmt.Errorf("%s: no line `# refused: <part of the message>`", file)
		}
		refusals = append(refusals, refusal{file, want})
	}
	return refusals, nil
}

// check says what is wrong with how a chart refused the values.
func (r refusal) check(err error) string {
	switch {
	case err == nil:
		return fmt.Sprintf("is rendered, and has to be refused with %q", r.want)
	case !isClear(err):
		return "is refused by accident: " + err.Error()
	case !strings.Contains(err.Error(), r.want):
		return fmt.Sprintf("is refused with %q, and not with %q", err, r.want)
	}
	return ""
}
