// SPDX-License-Identifier: Apache-2.0

package natsreceiver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/kubiyabot/otelcol-runner/test/peers/natshop/natsclient"
)

const (
	// setUpEvery is how often the stream is tried again while the server is away.
	setUpEvery = time.Second
	// retryAfter is how long a message waits that could not be written.
	retryAfter = time.Second
)

// subscriber writes one message after the other: two at a time would overtake each other.
type subscriber struct {
	config  *Config
	logger  *zap.Logger
	next    consumer.Metrics
	decoder pmetric.JSONUnmarshaler

	connection *nats.Conn
	cancel     context.CancelFunc
	running    sync.WaitGroup
}

func (s *subscriber) Start(_ context.Context, _ component.Host) (err error) {
	if s.connection, err = natsclient.Connect(s.config.Endpoint, s.config.CredsFile, "connector", s.logger); err != nil {
		return err
	}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	if s.config.JetStream {
		s.running.Go(func() { s.consume(ctx) })
		return nil
	}
	_, err = s.connection.QueueSubscribe(natsclient.Subject(s.config.Org), s.config.Group, func(m *nats.Msg) {
		if err := s.write(ctx, m.Data); err != nil {
			s.logger.Error("a batch is lost", zap.Error(err))
		}
	})
	return err
}

func (s *subscriber) Shutdown(context.Context) error {
	if s.cancel == nil {
		return nil
	}
	s.cancel()
	s.running.Wait()
	s.connection.Close()
	return nil
}

func (s *subscriber) write(ctx context.Context, payload []byte) error {
	md, err := s.decoder.UnmarshalMetrics(payload)
	if err != nil {
		return consumererror.NewPermanent(fmt.Errorf("decoding a batch: %w", err))
	}
	return s.next.ConsumeMetrics(ctx, md)
}

// consume consumes from the stream until ctx ends.
func (s *subscriber) consume(ctx context.Context) {
	for ctx.Err() == nil {
		messages, err := s.open(ctx)
		if err == nil {
			err = s.drain(ctx, messages)
		}
		if ctx.Err() == nil {
			s.logger.Warn("the stream is not available", zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(setUpEvery):
		}
	}
}

// open makes the stream and its consumer where they are not there.
func (s *subscriber) open(ctx context.Context) (jetstream.MessagesContext, error) {
	stream, err := jetstream.New(s.connection)
	if err != nil {
		return nil, err
	}
	if _, err := stream.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: natsclient.Stream, Subjects: []string{natsclient.Subject("*")}, Storage: jetstream.FileStorage,
		// A message is gone when the connector has written it.
		Retention: jetstream.WorkQueuePolicy,
	}); err != nil {
		return nil, fmt.Errorf("making the stream %s: %w", natsclient.Stream, err)
	}
	durable, err := stream.CreateOrUpdateConsumer(ctx, natsclient.Stream, jetstream.ConsumerConfig{
		Durable: s.config.Group, AckPolicy: jetstream.AckExplicitPolicy, AckWait: s.config.AckWait,
		// One at a time, or a message that is delivered again would come after its successors, and Prometheus would refuse it.
		MaxAckPending: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("making the consumer %s: %w", s.config.Group, err)
	}
	return durable.Messages()
}

// drain writes what comes, until ctx ends or nothing can come any more.
func (s *subscriber) drain(ctx context.Context, messages jetstream.MessagesContext) error {
	defer context.AfterFunc(ctx, messages.Stop)()
	defer messages.Stop()
	for {
		message, err := messages.Next()
		if errors.Is(err, jetstream.ErrNoHeartbeat) {
			continue // the server is away, the client connects again
		}
		if err != nil {
			return err
		}
		if err := s.handle(ctx, message); err != nil {
			s.logger.Warn("answering for a message", zap.Error(err))
		}
	}
}

// handle acknowledges the message after it was written. What Prometheus refuses for good is given up, all else comes again.
func (s *subscriber) handle(ctx context.Context, message jetstream.Msg) error {
	written := make(chan struct{})
	var extending sync.WaitGroup
	extending.Go(func() {
		ticker := time.NewTicker(s.config.AckWait / 3)
		defer ticker.Stop()
		for {
			select {
			case <-written:
				return
			case <-ticker.C:
				_ = message.InProgress() // while the server is away it comes again, which is what it is for
			}
		}
	})
	err := s.write(ctx, message.Data())
	close(written)
	extending.Wait()
	switch {
	case err == nil:
		return message.Ack()
	case consumererror.IsPermanent(err):
		s.logger.Error("a batch is lost", zap.Error(err))
		return message.Term()
	}
	s.logger.Warn("a batch will be written again", zap.Error(err))
	return message.NakWithDelay(retryAfter)
}
