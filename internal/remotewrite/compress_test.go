// SPDX-License-Identifier: Apache-2.0

package remotewrite

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/s2"
	"github.com/stretchr/testify/require"
)

// A request in parts is what every snappy decoder reads as one.
func TestCompressorInParts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // a test
	random := func() byte { return byte(rng.Uint32() & 0xff) }
	var c Compressor
	for range 300 {
		c.Reset()
		var whole []byte
		for range rng.IntN(6) {
			part := bytes.Repeat([]byte{random(), random(), 'a'}, rng.IntN(70_000))
			if rng.IntN(3) == 0 {
				for i := range part {
					part[i] = random()
				}
			}
			whole = append(whole, part...)
			c.Add(part)
		}
		require.Equal(t, len(whole), c.Raw())
		for name, decode := range map[string]func(dst, src []byte) ([]byte, error){"golang/snappy": snappy.Decode, "s2": s2.Decode} {
			got, err := decode(nil, c.Bytes())
			require.NoError(t, err, name)
			require.True(t, bytes.Equal(whole, got), name)
		}
	}
}
