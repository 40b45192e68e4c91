// SPDX-License-Identifier: Apache-2.0

// Package samplelog is a log of samples on disk. What Log.Append has accepted is there after a crash, a power failure or a restart;
// readers take it from there in order, and a checkpoint says how far they have come.
//
// # Files
//
// A log has a folder for itself:
//
//	LOCK                    held by the process that writes (flock)
//	CHECKPOINT              how far the log has been settled, and the batch that is being sent
//	segment-00000001.log    the samples; the last one is written to
//	damaged/                segments that were damaged, never deleted
//
// # Segments
//
// A segment stands on its own: it holds the labels of each of its series once, so that it can be read, deleted or lost without the
// others. It is a row of frames, the first of which is a header. A process never appends to a segment of another.
//
//	segment   frame(header) frame(batch) frame(batch) ...
//
//	frame     +------------+------------+------------+------------- - -
//	          | mark (4)   | length (4) | crc32c (4) | payload
//	          | f7 4c 6f 67|            | of both    |
//	          +------------+------------+------------+------------- - -
//
//	header    'H' JSON: version, segment, shards, run, numbers of the samples before it, where the segment before it ends
//
//	batch     'B' length definitions | length note | part part ...
//
//	definitions   packed with snappy; numbers are uvarints
//	          first symbol, first label, first series that follow      where they go on: behind damage, no number means another
//	          n   n x (length text)                                    symbols
//	          n   n x (symbol of the name, symbol of the value)        labels
//	          (shard, type, unit, help, n, n x label) ...              series
//
//	part      shard, number of its first sample, samples, then four records of Prometheus's tsdb/record, each behind its
//	          length: float samples, histograms, float histograms, exemplars (V2, with start timestamps; references are series)
//
// A batch is one call of Append, for all shards: a crash keeps all of it or nothing. A float sample takes about 11 bytes.
//
// Samples are numbered by shard. A gap in the numbers is how a reader knows how many samples are missing where the log is damaged, or
// where segments were deleted to make room; it counts them, and goes on with the next whole frame.
//
// # Runs
//
// Series are spread over shards by their labels. Another number of shards begins another run of segments, with numbers from 0. Readers
// finish one run before they begin the next, or two shards would hold samples of one series at a time.
//
// # Durability
//
// Append returns when the batch has been fsynced; batches share an fsync (Options.SyncInterval). After a write or an fsync that failed, the
// segment is given up behind its last durable batch, and the next one says where that is: what the disk holds behind it was refused, not
// acknowledged. The checkpoint has two slots that are written in turn and in place, so that a torn write leaves the other and a full
// disk has room for it. Samples count as accepted with their fsync, and as settled with the checkpoint; their difference is the backlog.
//
// # Why not a log that exists
//
// The payloads are Prometheus's own records. The frames are not: tsdb/wlog deletes what follows a corruption, can only be read from a
// page's begin, and writes to the operating system directly, so that a crash at its k-th write cannot be tested in memory; pebble's record
// cannot be read while it is written, and brings cockroachdb/errors with it. Its file system in memory is what the tests crash.
package samplelog
