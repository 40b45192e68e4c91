// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInterruptEndsACommandInOrder(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	require.NoError(t, err)
	cleanedUp := false
	run := interruptible(func(ctx context.Context, _ string) error {
		defer func() { cleanedUp = true }()
		require.NoError(t, self.Signal(os.Interrupt))
		<-ctx.Done()
		return ctx.Err()
	})
	require.ErrorIs(t, run(t.Context(), ""), errInterrupted)
	assert.True(t, cleanedUp)

	other := errors.New("other")
	require.ErrorIs(t, interruptible(func(context.Context, string) error { return other })(t.Context(), ""), other)
	require.NoError(t, interruptible(func(context.Context, string) error { return nil })(t.Context(), ""))
}
