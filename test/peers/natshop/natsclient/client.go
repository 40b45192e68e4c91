// SPDX-License-Identifier: Apache-2.0

// Package natsclient is what both ends of NATS share: how they connect, and what subject and stream are called.
package natsclient

import (
	"fmt"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// Stream is the stream that keeps all organizations' metrics.
const Stream = "METRICS"

// Subject is where an organization's metrics are published.
func Subject(organization string) string { return "metrics." + organization }

// Connect connects and stays connected: a server that is away is tried again for as long as it takes, also at the start. All else is
// the client's default: what is published meanwhile waits in a buffer of 8 MiB, and what is received in one of 64 MiB.
func Connect(endpoint, credentials, name string, logger *zap.Logger) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name(name), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { logger.Warn("disconnected from NATS", zap.Error(err)) }),
		nats.ReconnectHandler(func(c *nats.Conn) {
			logger.Info("connected to NATS again", zap.String("url", c.ConnectedUrlRedacted()))
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			logger.Error("NATS reports an error", zap.Error(err))
		}),
	}
	if credentials != "" {
		options = append(options, nats.UserCredentials(credentials))
	}
	connection, err := nats.Connect(endpoint, options...)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS at %s: %w", endpoint, err)
	}
	return connection, nil
}
