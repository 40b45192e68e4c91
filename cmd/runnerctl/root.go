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
  runnerctl demo --duration 60s --output json
  runnerctl log stat /var/lib/otelcol-runner/log
  runnerctl version`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.AddCommand(newCmdCost(s, costRun), newCmdDemo(s, demoRun), newCmdDiff(s, diffRun), newCmdExplain(s, explainRun), newCmdLint(s, lintRun), newCmdLog(s), newCmdRecord(s, recordRun), newCmdTest(s, testRun), newCmdVersion(s))
	return root
}
