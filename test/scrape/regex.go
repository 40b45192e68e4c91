// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"slices"
	"strings"
)

// neverMatches is a regular expression that no text matches.
const neverMatches = `[^\s\S]`

// mutateRegex returns the variants of a regular expression: one that matches everything, one that matches nothing, and the ones with a
// single thing changed.
func mutateRegex(regex string) []string {
	all := []string{".*", neverMatches}
	for _, t := range tokens(regex) {
		before, after := regex[:t.start], regex[t.end:]
		switch token := regex[t.start:t.end]; t.kind {
		case literal:
			if t.first {
				all = append(all, before+nextLetter(token)+after)
			}
		case escapedDot:
			all = append(all, before+"."+after)
		case dot:
			all = append(all, before+`\.`+after)
		case quantifier:
			all = append(all, before+after)
			if other, ok := otherQuantifier[token]; ok {
				all = append(all, before+other+after)
			}
		case group:
			all = append(all, before+"(?:"+after)
		case anchor:
			all = append(all, before+after)
		case bar, other:
		}
	}
	if parts := alternatives(regex); len(parts) > 1 {
		for i := range parts {
			all = append(all, strings.Join(slices.Delete(slices.Clone(parts), i, i+1), "|"))
		}
	}
	return unlike(regex, all)
}

// unlike leaves out what is there twice, what is the same as the original, and what is no regular expression.
func unlike(original string, all []string) []string {
	seen := map[string]bool{original: true}
	return slices.DeleteFunc(all, func(s string) bool {
		_, err := regexp.Compile(s)
		out := seen[s] || err != nil
		seen[s] = true
		return out
	})
}

var otherQuantifier = map[string]string{"+": "*", "*": "+"}

// nextLetter changes a letter or digit.
func nextLetter(s string) string {
	switch s {
	case "z":
		return "y"
	case "Z":
		return "Y"
	case "9":
		return "8"
	}
	return string(s[0] + 1)
}

type tokenKind int

const (
	literal tokenKind = iota
	dot
	escapedDot
	quantifier
	group
	bar
	anchor
	other
)

// token is a part of a regular expression.
type token struct {
	kind       tokenKind
	start, end int
	first      bool // literal: the first one of its alternative
	depth      int  // of groups
}

// tokens takes a regular expression apart, as far as it is to be changed. Classes and escapes are one token each.
func tokens(regex string) []token {
	var all []token
	first, depth := true, 0
	for i := 0; i < len(regex); {
		t := token{kind: other, start: i, end: i + 1, depth: depth}
		switch c := regex[i]; {
		case c == '\\':
			t.end = min(i+2, len(regex))
			if regex[i:t.end] == `\.` {
				t.kind = escapedDot
			}
		case c == '[':
			t.end = classEnd(regex, i)
		case c == '.':
			t.kind = dot
		case strings.ContainsRune("+*?", rune(c)):
			t.kind = quantifier
		case c == '(':
			depth++
			if !strings.HasPrefix(regex[i:], "(?") {
				t.kind = group
			}
		case c == ')':
			depth--
		case c == '|':
			t.kind, first = bar, true
		case c == '^' || c == '$':
			t.kind = anchor
		case '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			t.kind, t.first, first = literal, first, false
		}
		all = append(all, t)
		i = t.end
	}
	return all
}

// classEnd is where a class that begins at start ends.
func classEnd(regex string, start int) int {
	i := start + 1
	if strings.HasPrefix(regex[i:], "^") {
		i++
	}
	for first := true; i < len(regex); first = false {
		switch {
		case regex[i] == '\\':
			i++
		case regex[i] == ']' && !first:
			return i + 1
		}
		i++
	}
	return len(regex)
}

// alternatives splits a regular expression at its top.
func alternatives(regex string) []string {
	var parts []string
	begin := 0
	for _, t := range tokens(regex) {
		if t.kind == bar && t.depth == 0 {
			parts = append(parts, regex[begin:t.start])
			begin = t.end
		}
	}
	return append(parts, regex[begin:])
}
