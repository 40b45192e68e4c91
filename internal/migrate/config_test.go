// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/lint"
)

func configs(t *testing.T) []string {
	t.Helper()
	legacy, err := filepath.Glob("../../test/legacy/*.yaml")
	require.NoError(t, err)
	own, err := filepath.Glob("testdata/config/*.yaml")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(legacy), 3)
	return append(legacy, own...)
}

func TestConfig(t *testing.T) {
	for _, path := range configs(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, err := configfile.Load(path)
			require.NoError(t, err)
			f.Name = filepath.Base(path)
			c, err := MigrateConfig(f, nil)
			require.NoError(t, err)
			golden(t, "testdata/config/"+strings.TrimSuffix(filepath.Base(path), ".yaml")+".golden", string(c.File.Text)+"---\n"+listed(c.Items)+"---\n"+strings.Join(c.Variables, " ")+"\n")
			for _, finding := range lint.Check(c.File) {
				assert.Failf(t, "lint", "%d: %s", finding.Line, finding.Message)
			}
			assert.NotContains(t, string(c.File.Text), "hunter2")
		})
	}
}
