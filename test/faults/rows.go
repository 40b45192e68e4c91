// SPDX-License-Identifier: Apache-2.0

package main

import "slices"

// table returns all rows.
func table() []row {
	return slices.Concat(statusRows(), answerRows(), sampleRows(), connectionRows(), tlsRows(), diskRows(), failingRows(), damageRows(), processRows(), timeRows())
}

// Sizes of what most rows push.
const (
	fewRounds = 5
	fewSeries = 20
)

// first lets a fault have the first n requests, and the backend all others.
func first(n int, fault func(*call)) func(*call) {
	return func(c *call) {
		if c.n < n {
			fault(c)
			return
		}
		c.forward()
	}
}

// always answers everything in one way.
func always(status int, text string, header ...string) func(*call) {
	return func(c *call) { c.answer(status, text, header...) }
}

// through is a row in which a fault has the first requests, and in which samples are pushed before and during it.
func through(fault func(*call), settings ...string) func(*rig) {
	return func(r *rig) {
		for _, s := range settings {
			r.configure(s)
		}
		r.front.set(fault)
		r.start()
		r.rounds(fewRounds, fewSeries)
	}
}
