// SPDX-License-Identifier: Apache-2.0

// Package secrets finds values that look like credentials or e-mail addresses. The list of patterns is published in
// docs/secrets.md, with the look-alikes that each must not match.
package secrets

import (
	"regexp"
	"strings"
	"sync"
)

// minLength is the length, in bytes, below which no pattern can match: a@b.co.
const minLength = 6

// Pattern is one kind of secret.
type Pattern struct {
	// Name is what replaces the value and what is counted: jwt.
	Name string
	// Description says what it finds, in a sentence for the documentation.
	Description string
	// Expression is the regular expression (RE2) that a part of the value has to match.
	Expression string

	hints  []string // in lower case; one of them is in every match: a cheap first look
	regexp *regexp.Regexp
	accept func(match string) bool // a second look that a regular expression cannot take; nil accepts
}

// compiled holds the patterns with their expressions compiled, which takes milliseconds.
var compiled = sync.OnceValue(func() []Pattern {
	list := patterns()
	for i := range list {
		list[i].regexp = regexp.MustCompile(list[i].Expression)
	}
	return list
})

// Patterns lists the patterns in the order in which they are tried.
func Patterns() []Pattern { return compiled() }

// Find returns the name of the first pattern that value matches, or "" when it looks harmless. It is safe for concurrent use.
func Find(value string) string {
	if len(value) < minLength {
		return ""
	}
	lower := strings.ToLower(value)
	list := compiled()
	for i := range list {
		if p := &list[i]; p.hinted(lower) && p.match(value) {
			return p.Name
		}
	}
	return ""
}

func (p *Pattern) hinted(lower string) bool {
	for _, h := range p.hints {
		if strings.Contains(lower, h) {
			return true
		}
	}
	return false
}

func (p *Pattern) match(value string) bool {
	if p.accept == nil {
		return p.regexp.MatchString(value)
	}
	for _, m := range p.regexp.FindAllString(value, -1) {
		if p.accept(m) {
			return true
		}
	}
	return false
}

// hasDigitAndLetter tells a token from words: "Bearer authentication-not-configured" has no digit.
func hasDigitAndLetter(s string) bool {
	return strings.ContainsAny(s, "0123456789") &&
		strings.ContainsFunc(s, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' })
}
