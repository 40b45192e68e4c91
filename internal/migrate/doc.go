// SPDX-License-Identifier: Apache-2.0

// Package migrate makes of what a runner has that delivers over NATS, or by Grafana Alloy, what it has with this distribution: the
// configuration of the collector, and the values of the chart.
//
// Nothing is lost in silence: every key of what is read is an Item, which says what became of it and why. A secret is never
// copied: what is written refers to where it has to be.
package migrate
