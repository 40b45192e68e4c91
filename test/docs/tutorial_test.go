// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

var update = flag.Bool("update", false, "write what commands print into the pages that show it")

// tutorials are pages whose blocks are run in the order of the page: a block with a title is a file, one of console a session, in
// which each line that begins with $ is a command and the others are what it prints.
var tutorials = []string{"docs/testing-scrape-configs.md"}

var (
	block = regexp.MustCompile("(?ms)^```(\\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$")
	// took is how long the cases took, which is another time in every run.
	took = regexp.MustCompile(`(?m)^(\d+ cases, .*), [0-9.]+ s`)
)

func TestTutorials(t *testing.T) {
	bin := filepath.Join(testbed.Root(t), "bin")
	for _, page := range tutorials {
		t.Run(page, func(t *testing.T) {
			dir := t.TempDir()
			text := read(t, page)
			sessions := 0
			done := block.ReplaceAllStringFunc(text, func(whole string) string {
				parts := block.FindStringSubmatch(whole)
				kind, title, content := parts[1], parts[2], parts[3]
				switch {
				case title != "":
					path := filepath.Join(dir, title)
					require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
					require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
				case kind == "console":
					sessions++
					return "```console\n" + session(t, dir, bin, content) + "```"
				}
				return whole
			})
			require.Positive(t, sessions)
			if *update {
				require.NoError(t, os.WriteFile(filepath.Join(testbed.Root(t), page), []byte(done), 0o600))
				return
			}
			assert.Equal(t, took.ReplaceAllString(text, "$1"), took.ReplaceAllString(done, "$1"), "run go test ./test/docs -run Tutorials -update, and read what has changed")
		})
	}
}

// session runs the commands of a block and returns it with what they print.
func session(t *testing.T, dir, bin, content string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(content) {
		command, isCommand := strings.CutPrefix(line, "$ ")
		if !isCommand {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-c", command) //nolint:gosec // the page's own command
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + dir}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		if cmd.ProcessState.ExitCode() > 1 { // 1 is a finding, which a page may want to show
			require.NoError(t, err, "%s%s", command, out.String())
		}
		b.WriteString(line + out.String())
	}
	return b.String()
}
