// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

var errInterrupted = errors.New("interrupted")

// interruptible makes an interrupt end a command in order: what it has put into temporary folders goes with it. A second interrupt
// ends it at once.
func interruptible[O any](runF func(context.Context, O) error) func(context.Context, O) error {
	return func(ctx context.Context, o O) error {
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		context.AfterFunc(ctx, stop)
		err := runF(ctx, o)
		if err != nil && ctx.Err() != nil {
			return errInterrupted
		}
		return err
	}
}
