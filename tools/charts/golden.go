// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const ruleGolden = "golden"

// minGolden is how many whole renderings are kept to be read in reviews.
const minGolden = 3

// judgeGolden compares the renderings that test/charts/golden has with those of now. A file <chart>.<values>.yaml is what the chart
// renders from ci/<values>-values.yaml; an empty one is how a new one begins.
func judgeGolden(dir string, charts []*source, update bool, figures *Figures, report *report) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return err
	}
	figures.Golden = len(files)
	if len(files) < minGolden {
		report.add(Violation{Rule: ruleGolden, Source: dir, Object: "*.yaml", Message: fmt.Sprintf("%d renderings, of %d", len(files), minGolden), Remedy: "create an empty <chart>.<values>.yaml, then go run . -update"})
	}
	for _, file := range files {
		add := func(message, remedy string) {
			report.add(Violation{Rule: ruleGolden, Source: filepath.Base(file), Object: "the rendering", Message: message, Remedy: remedy})
		}
		got, err := goldenRendering(file, charts)
		if err != nil {
			add(err.Error(), "")
			continue
		}
		if update {
			if err := os.WriteFile(file, got, 0o644); err != nil { //nolint:gosec // a file of the repository, for everybody to read
				return err
			}
			continue
		}
		want, err := os.ReadFile(file) //nolint:gosec // the path comes from a listing of test data
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			add("differs: "+firstDifference(string(want), string(got)), "read the difference, then `go run . -update` and commit it")
		}
	}
	return nil
}

func goldenRendering(file string, charts []*source) ([]byte, error) {
	name, valuesName, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".yaml"), ".")
	i := slices.IndexFunc(charts, func(s *source) bool { return s.name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no chart %q", name)
	}
	values, err := readValues(filepath.Join(charts[i].dir, "ci", valuesName+"-values.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the chart has no ci/%s-values.yaml", valuesName)
	}
	if err != nil {
		return nil, err
	}
	objects, err := render(charts[i], values, situations[1], file)
	if err != nil {
		return nil, err
	}
	sortObjects(objects)
	var out bytes.Buffer
	fmt.Fprintf(&out, "# What charts/%s renders from ci/%s-values.yaml. Written by `go run . -update` in tools/charts.\n", name, valuesName)
	for _, o := range objects {
		fmt.Fprintf(&out, "---\n%s\n", bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(o.YAML), []byte("---"))))
	}
	return out.Bytes(), nil
}

func firstDifference(want, got string) string {
	wanted, found := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(wanted), len(found)) {
		if wanted[i] != found[i] {
			return fmt.Sprintf("line %d was %q and is %q", i+1, wanted[i], found[i])
		}
	}
	return fmt.Sprintf("%d lines became %d", len(wanted), len(found))
}
