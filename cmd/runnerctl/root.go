// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"
)

func newCmdRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "runnerctl",
		Short: "Show, check and explain what a runner's collector does",
		Long: `runnerctl is the command line of otelcol-runner, the collector that scrapes a runner and writes its
metrics to a managed Prometheus.

Exit codes: 0 all is well; 1 the command found something, such as a promise that does not hold;
2 the command could not run.`,
		Example: `  runnerctl demo
  runnerctl lint configs
  runnerctl test --coverage configs/tests
  runnerctl explain configs/collector.yaml --scene configs/tests/runner.scene.yaml --target '{app="tool-manager"}'
  runnerctl diff git:HEAD:configs/collector.yaml configs/collector.yaml --scene configs/tests/runner.scene.yaml
  runnerctl check delivery --metrics http://127.0.0.1:8888/metrics
  runnerctl log stat /var/lib/otelcol-runner/log`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(s.out)
	root.SetErr(s.err)
	addGroup(root, "Before a configuration ships:",
		newCmdLint(s, lintRun), newCmdTest(s, interruptible(testRun)), newCmdExplain(s, interruptible(explainRun)),
		newCmdDiff(s, interruptible(diffRun)), newCmdCost(s, interruptible(costRun)), newCmdRecord(s, recordRun))
	addGroup(root, "What runs:", newCmdDemo(s, demoRun), newCmdCheck(s), newCmdLog(s))
	root.AddCommand(newCmdVersion(s))
	return root
}

// addGroup adds commands that help lists together.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, c := range commands {
		c.GroupID = title
	}
	root.AddCommand(commands...)
}
