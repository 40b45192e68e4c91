// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// words are those of a command line in single quotes or none.
var words = regexp.MustCompile(`'[^']*'|\S+`)

func split(line string) []string {
	args := words.FindAllString(line, -1)
	for i := range args {
		args[i] = strings.Trim(args[i], "'")
	}
	return args
}

// TestFirstExamples runs what people try first: the commands of the root's help and of README.md, over the files of the project. The
// demonstration has a test of its own, `make test-scrape` is the run of all tests, and the rest needs a repository or a log.
func TestFirstExamples(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	besideConfigs(t)

	lines := strings.Split(newCmdRoot(streams{}).Example, "\n")
	for line := range strings.Lines(string(readme)) {
		if rest, found := strings.CutPrefix(line, "    bin/"); found {
			lines = append(lines, rest)
		}
	}
	ran := map[string]int{}
	for _, line := range lines {
		line, _, _ = strings.Cut(line, " > ")
		args := split(line)
		if len(args) < 2 || args[0] != "runnerctl" {
			continue
		}
		switch args[1] {
		case "lint", "explain", "cost":
		default:
			continue
		}
		code, _, stderr := inVirtualTime(t, args[1:]...)
		assert.Equal(t, exitFine, code, line+"\n"+stderr)
		ran[args[1]]++
	}
	assert.Equal(t, map[string]int{"lint": 2, "explain": 2, "cost": 1}, ran)
}

// TestRecordExample runs the first example of record, which has to name all that the reference configuration needs.
func TestRecordExample(t *testing.T) {
	cluster := kubeconfig(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\nstatus: {phase: Running, podIP: 192.0.2.1}\n")
	example, _, _ := strings.Cut(strings.ReplaceAll(newCmdRecord(streams{}, nil).Example, "\\\n", ""), "\n")
	besideConfigs(t)
	_, stdout, stderr := inVirtualTime(t, append(split(example)[1:], "--kubeconfig", cluster)...)
	assert.Contains(t, stdout, "scene/scene.yaml: samples: 1; objects: 1 pods; ", stderr)
}

// besideConfigs goes to a folder of its own, for what examples write, where the project's configs are.
func besideConfigs(t *testing.T) {
	t.Helper()
	configs, err := filepath.Abs("../../configs")
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	require.NoError(t, os.Symlink(configs, "configs"))
}
