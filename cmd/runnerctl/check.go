// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/spf13/cobra"

func newCmdCheck(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check a runner that is installed",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newCmdCheckDelivery(s, interruptible(checkDeliveryRun)))
	return cmd
}
