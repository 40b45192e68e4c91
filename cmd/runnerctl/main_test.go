// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// asRunnerctl makes the test binary be runnerctl, for the tests that need a process of their own to send signals to.
const asRunnerctl = "RUNNERCTL_TEST_AS_RUNNERCTL"

func TestMain(m *testing.M) {
	if os.Getenv(asRunnerctl) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// command runs a command line in this process.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(t.Context(), streams{out: &out, err: &errs}, args)
	return code, out.String(), errs.String()
}

func TestExitCodes(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		code   int
		stderr string
	}{
		"help":              {[]string{"--help"}, exitFine, ""},
		"no arguments":      {nil, exitFine, ""},
		"unknown command":   {[]string{"dmeo"}, exitFailed, "runnerctl: unknown command \"dmeo\" for \"runnerctl\"\n\nDid you mean this?\n\tdemo\n"},
		"unknown flag":      {[]string{"demo", "--nope"}, exitFailed, "runnerctl: unknown flag: --nope\n"},
		"unknown output":    {[]string{"demo", "--output", "yaml"}, exitFailed, "runnerctl: --output \"yaml\" is not known: use text or json\n"},
		"bad duration":      {[]string{"demo", "--duration", "soon"}, exitFailed, "runnerctl: invalid argument \"soon\" for \"--duration\" flag: time: invalid duration \"soon\"\n"},
		"negative duration": {[]string{"demo", "--duration", "-1s"}, exitFailed, "runnerctl: --duration -1s is negative: use a time such as 60s, or 0 to run until Ctrl-C\n"},
		"missing binary":    {[]string{"demo", "--collector", "/nowhere"}, exitFailed, "runnerctl: no collector binary at \"/nowhere\": run `make build`, or name one with --collector\n"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := command(t, c.args...)
			assert.Equal(t, c.code, code)
			assert.Equal(t, c.stderr, stderr)
		})
	}
}

func TestHelpHasExamplesAndExitCodes(t *testing.T) {
	_, root, _ := command(t, "--help")
	assert.Contains(t, root, "Exit codes: 0 all is well")
	for _, name := range []string{"completion", "demo", "version"} {
		assert.Contains(t, root, "\n  "+name)
	}
	_, demo, _ := command(t, "demo", "--help")
	assert.Contains(t, demo, "runnerctl demo --duration 60s --output json")
	assert.Contains(t, demo, "next to runnerctl")
}

func TestVersionAndCompletion(t *testing.T) {
	code, stdout, _ := command(t, "version")
	assert.Equal(t, exitFine, code)
	assert.Regexp(t, `^runnerctl \S+ \(go1\.\S+, \w+/\w+\)\n$`, stdout)
	code, stdout, _ = command(t, "completion", "bash")
	assert.Equal(t, exitFine, code)
	assert.Contains(t, stdout, "bash completion V2 for runnerctl")
}

func TestAFindingIsNotPrintedTwice(t *testing.T) {
	var out, errs bytes.Buffer
	s := streams{out: &out, err: &errs}
	demo := newCmdDemo(s, func(context.Context, *demoOptions) error { return errBroken })
	demo.SilenceErrors, demo.SilenceUsage = true, true
	demo.SetArgs(nil)
	require.ErrorIs(t, demo.Execute(), errBroken)
	assert.Empty(t, errs.String())
}
