// SPDX-License-Identifier: Apache-2.0

package casefile

// filling is what an empty expectation can be filled with.
type filling struct{}

// nothingYet is the verdict about an expectation that waits to be filled in.
func nothingYet(*view) verdict {
	return verdict{message: "nothing is expected yet: --update fills in what is delivered"}
}
