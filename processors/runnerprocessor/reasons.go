// SPDX-License-Identifier: Apache-2.0

package runnerprocessor

// DropReasons are the values that the attribute `reason` of otelcol_processor_runner_points_total can have when a point is dropped.
func DropReasons() []string {
	var names []string
	for r := range numReasons {
		if !r.kept() {
			names = append(names, reasonNames[r])
		}
	}
	return names
}
