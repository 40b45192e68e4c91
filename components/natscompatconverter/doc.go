// SPDX-License-Identifier: Apache-2.0

// Package natscompatconverter lets a configuration that delivers over NATS, by an exporter natsexporter, start as it is: it delivers by
// remote write.
//
// It is a confmap converter: it changes the configuration in memory, before it is validated, and logs each change as one line. Where there is
// no natsexporter, it does nothing. What it does and why is in internal/natscompat; which variables it reads, in README.md.
//
// A converter runs when references to the environment have been resolved, so that the variables are read here. A secret is in the
// configuration as an opaque string, which nothing shows: not the log, not an error, and not a dump of the configuration.
package natscompatconverter
