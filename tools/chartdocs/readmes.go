// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/norwoodj/helm-docs/pkg/document"
	"github.com/norwoodj/helm-docs/pkg/helm"
	"github.com/sirupsen/logrus"
	"github.com/spf13/viper"
)

// installable are the charts that somebody installs; `common` has nothing to install.
var installable = []string{"runner", "otel", "kube-state-metrics", "dagger"}

// bareRow is a row of helm-docs's table that says nothing about a value. Its own strict mode only knows another style of comments.
var bareRow = regexp.MustCompile(`(?m)^\| (\S+) \| .* \|  \|$`)

// readmes makes each chart's README.md of its README.md.gotmpl and the comments of its values.yaml, with helm-docs. A value without a comment is an error.
func readmes(root string) (map[string][]byte, error) {
	logrus.SetLevel(logrus.ErrorLevel)
	viper.Set("values-file", "values.yaml")
	viper.Set("sort-values-order", "file")
	temporary, err := os.MkdirTemp("", "chartdocs")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(temporary) }()

	contents := map[string][]byte{}
	var undocumented []string
	for _, name := range installable {
		folder := filepath.Join(root, "charts", name)
		info, err := helm.ParseChartInformation(folder, helm.ChartValuesDocumentationParsingConfig{})
		if err != nil {
			return nil, fmt.Errorf("charts/%s: %w", name, err)
		}
		if _, err := os.Stat(filepath.Join(folder, "README.md.gotmpl")); err != nil {
			return nil, err
		}
		// helm-docs logs its errors and goes on; without the file, there was one.
		out := filepath.Join(temporary, name)
		relative, err := relativeTo(folder, out)
		if err != nil {
			return nil, err
		}
		viper.Set("output-file", relative)
		document.PrintDocumentation(info, root, []string{"README.md.gotmpl"}, false, "", "flat-square", nil, true)
		content, err := os.ReadFile(out) //nolint:gosec // written by the line above
		if err != nil || len(content) == 0 {
			return nil, errors.Join(fmt.Errorf("charts/%s/README.md.gotmpl: helm-docs wrote nothing", name), err)
		}
		if bare := bareRow.FindAllSubmatch(content, -1); len(bare) > 0 {
			for _, row := range bare {
				undocumented = append(undocumented, fmt.Sprintf("charts/%s/values.yaml: %s", name, row[1]))
			}
		}
		contents[filepath.Join("charts", name, "README.md")] = content
	}
	if len(undocumented) > 0 {
		return nil, fmt.Errorf("values without a comment `# -- `:\n%s", strings.Join(undocumented, "\n"))
	}
	return contents, nil
}

// relativeTo is the path of a file from a folder: helm-docs joins both.
func relativeTo(folder, file string) (string, error) {
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	return filepath.Rel(absolute, file)
}
