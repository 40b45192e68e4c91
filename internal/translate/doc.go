// SPDX-License-Identifier: Apache-2.0

// Package translate makes Prometheus samples of pdata, and puts them into a log's batch.
//
// What was scraped becomes what a Prometheus server that scrapes the same target stores: the receiver's translation is undone
// as far as pdata still says what it was. A metric counts as scraped where the receiver left its Prometheus type
// (metadata prometheus.type). Everything else is OTLP and becomes what Prometheus's OTLP endpoint makes of it
// (storage/remote/otlptranslator) with the translation strategy NoTranslation: names stay, nothing is appended.
//
// # Names and labels
//
// The labels of a series are, each later one giving way to the earlier ones unless it says otherwise:
//
//   - the attributes of the point; an empty value is no label, __name__ is ignored
//   - resource attributes that Settings.ResourceLabels lists
//   - job and instance, from service.namespace, service.name and service.instance.id; these win
//   - of what was scraped, otel_scope_*: the receiver takes such labels away and makes the scope of them; these win
//   - le or quantile of a histogram's or a summary's series; these win. They are formatted as Prometheus does: 1.0, 1e+06
//
// Scope and remaining resource attributes of OTLP are no labels, and there is no target_info.
//
// With Settings.EscapeNames, names are escaped as Prometheus's scheme `underscores` does, and attributes that become the same
// label are joined with ";" in the order of their names, as the OTLP endpoint does.
//
// # Samples
//
// A stale point becomes stale markers. It does not say whether a histogram had a sum: the marker is left out only if the
// histogram is known to have had none. The start of an OpenMetrics counter, histogram or summary was its series _created, and
// becomes one again; on arm64 the receiver loses its stale marker. Timestamps are cut to milliseconds.
//
// What cannot be converted exactly is refused and counted, by Reason.
//
// # Cache
//
// A series is looked up by its metric, the point before it (scrapes repeat in the same order) and, where that was another one, a
// hash; either way all strings are compared. What is found are references of the log's current segment. With the segment
// they end, and the cache is empty again. It holds only integers, about 100 bytes a series.
package translate
