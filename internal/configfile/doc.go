// SPDX-License-Identifier: Apache-2.0

// Package configfile reads a configuration that scrapes: of the OpenTelemetry Collector, of Prometheus, or a bare list of
// scrape configurations. It keeps where everything stands in the file, gives access to the scrape jobs and their relabel
// rules, and changes single values without touching the rest of the text.
//
// Nothing here starts a collector or loads Prometheus's configuration: a file that would be refused at start can still be
// read, so that what is wrong with it can be shown in its place.
//
// What is read is bounded: 10 MiB of text, a million YAML nodes with aliases replaced, a hundred levels. A file is immutable;
// Apply and Expand make new ones.
package configfile
