// SPDX-License-Identifier: Apache-2.0

// Package scopepushdownconverter drops at the scrape what the runner processor would drop for the name of its metric: a series that is
// dropped there costs a look at its text, and not the way through the receiver.
//
// It is a confmap converter: it reads processors::runner::scope::metrics and appends one rule to the metric_relabel_configs of
// each job whose series go to that processor. The rule comes last, so that the rules that a user wrote see every series.
// What is delivered stays the same:
//
//   - The rule keeps more than the processor. A scrape sees series, and the processor families, which the receiver makes of them by
//     metadata and suffixes; scope.SeriesRegexp says how the one is told from the other. So a family goes as a whole or not at
//     all, and the processor decides anew about what arrives.
//   - The collector's own metrics pass the processor whatever the scope is. A job whose targets can be the collector gets a rule that
//     lets those pass.
//   - A job or receiver for which this cannot be said is left alone, and the log says why. What the rules of jobs in
//     other files (scrape_config_files) or from a target allocator are, is not known here, and they stay as they are.
//
// Two things differ, and are meant to. What Prometheus reports of a scrape after its rules, scrape_samples_post_metric_relabeling and
// scrape_series_added, counts without what is dropped; and a series that is out of scope can no longer fail the scrape of all others, as one
// with a label twice does.
//
// processors::runner::scope::pushdown: false switches it off.
package scopepushdownconverter
