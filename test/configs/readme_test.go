// SPDX-License-Identifier: Apache-2.0

package configs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

var envReference = regexp.MustCompile(`\$\{env:([A-Z_]+)`)

// The README lists every file and every variable that one of them reads.
func TestReadmeIsComplete(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(testbed.Root(t), "configs", "README.md"))
	require.NoError(t, err)
	readme := string(content)
	for name, file := range configFiles(t) {
		assert.True(t, strings.Contains(readme, "| `"+name+"` |"), "%s is not in the table of files", name)
		text, err := os.ReadFile(file) //nolint:gosec // a file of the repository
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			for _, reference := range envReference.FindAllStringSubmatch(line, -1) {
				if reference[1] != "AS_TEXT" { // keeps a value a text, never set
					assert.True(t, strings.Contains(readme, "\n| `"+reference[1]+"` |"), "%s of %s is not in the table of variables", reference[1], name)
				}
			}
		}
		for _, variable := range requiredEnv(t, file) {
			row := regexp.MustCompile("(?m)^\\| `" + variable + "` \\|[^|]*\\| required \\|")
			assert.True(t, row.MatchString(readme), "%s of %s is not in the table as required", variable, name)
		}
	}
}
