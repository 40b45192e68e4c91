// SPDX-License-Identifier: Apache-2.0

package casefile

// Coverage is what of the configurations the cases exercise.
type Coverage struct{}
