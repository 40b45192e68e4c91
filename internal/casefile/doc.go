// SPDX-License-Identifier: Apache-2.0

// Package casefile reads test files for scrape configurations, runs them and says what is not as expected.
//
// A test file is YAML, much as for `promtool test rules`:
//
//	config: ../collector.yaml      # or configs, a list in which globs are allowed: the cases hold for each
//	scene: {…}                     # see package scene; or the path of a file that `runnerctl record` wrote
//	cases:
//	- name: what is promised
//	  at: 30s                      # time after the first scrape; by default the longest scrape interval
//	  scene: {…}                   # what is different for this case: it is laid over the file's scene
//	  expect:
//	    series: {'up{app="tool-manager", …}': 1}
//
// Expectations are about what has been delivered by the time of the case:
//
//	series   by selector: exactly one series matches and has the value. A selector that ends in … (or ...) allows further labels;
//	         otherwise the series has the labels that it names and no others. The value is a number, a comparison ('>= 3'), a native
//	         histogram as promtool writes it ('{{schema:0 count:1 …}}'), stale (it ended with a stale marker) or absent.
//	labels   {match, have, lack}, or a list of these: every series that matches has, or has not, these labels.
//	targets  kept, dropped, duplicate, invalid: a number, a comparison, or a list of targets, each as pod/NAME, pod/NAME:PORT or
//	         HOST:PORT. job has the same by job.
//	count    by selector: how many series match. Further labels are allowed.
//	promql   by expression: true (it gives something), false (it gives nothing, or the scalar 0), or the value of the one sample.
//	absent   selectors that no series matches.
//	drops    by reason: how many points the runner processor has dropped since the start, where no rule is derived from its scope that
//	         drops them at the scrape already. out_of_scope is the sum of namespace, object_namespace, component and metric.
//	error    a regular expression: the configuration or its discovery is refused with such an error.
//
// A configuration and a scene are run once for all cases that have both; runs are side by side.
package casefile
