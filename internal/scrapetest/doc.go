// SPDX-License-Identifier: Apache-2.0

// Package scrapetest computes what a configuration would deliver from a scene. It runs the real parts: Prometheus's discovery,
// relabelling and scraping inside the collector's own receiver, the collector's processors, and the translation of its exporter.
//
// # How a run goes
//
//  1. The configuration is resolved as the collector does it, with the scene's environment (Load).
//  2. For each state of the scene, each job's discovery runs outside of the bubble against the scene's API server, in real time,
//     since its connections are open for good. What it finds are target groups.
//  3. In a bubble of virtual time (package virtualtime) the receiver runs with those groups, and scrapes, each time through a proxy
//     that answers with the scene's pages: addresses, ports and schemes are the ones that a target has in a cluster. A response
//     closes its connection, so that time can go on. Processors run in the bubble as well.
//  4. What comes out is translated by the exporter's own code, into series as they would be stored.
//
// Two things of the receiver's configuration are changed: how targets are reached (proxy, no credentials: a scene has none), and
// that the first scrape of each target is not spread over the interval, so that every run has the same timestamps. The first
// scrape is at the scene's start.
//
// memory_limiter is not run: it depends on the memory of the process. k8s_attributes is not run: it holds connections to the
// API server open. A Result says so in its notes.
package scrapetest
