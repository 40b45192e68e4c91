// SPDX-License-Identifier: Apache-2.0

//go:generate mdatagen metadata.yaml

// Package runnerprocessor attaches a runner's metadata to every series and limits what leaves the cluster.
//
// A batch goes through the processor one resource (which is one target) at a time:
//
//  0. restore: names and labels that the Prometheus receiver changed become again what the target exposes.
//  1. target: the target's namespace and component are read from its own `up` series, whose labels are exactly the target
//     labels; nothing that the target exposes can forge them. What is pushed has no such series, and speaks for itself only.
//  2. metric: metrics that scope does not list are removed whole, without looking at a point.
//  3. series: a point whose series is known is decided by one hash and one look-up. A new series is judged in full: object
//     namespace, labels, identity, secrets, limits. Only kept series are remembered, so that memory is bounded by the limits.
//  4. apply: dropped points are removed, and labels rewritten where the verdict says so. Most points are not touched.
//
// Whatever is not known to be in scope is dropped, and every drop is counted under exactly one reason.
package runnerprocessor
