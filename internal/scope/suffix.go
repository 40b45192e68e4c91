// SPDX-License-Identifier: Apache-2.0

package scope

import (
	"regexp/syntax"
	"slices"
	"unicode"
)

// maxTerms bounds what cutSuffix returns. A pattern of a scope has one or two terms.
const maxTerms = 32

// cutSuffix returns regular expressions that together match each s for which re matches s+suffix: Brzozowski's derivative, from the
// right and in Antimirov's form, which has no more terms than re has parts. ok is false when they are too many. re must have no
// assertions and be simplified.
func cutSuffix(re *syntax.Regexp, suffix string) (terms []*syntax.Regexp, ok bool) {
	terms = []*syntax.Regexp{re}
	for i := len(suffix) - 1; i >= 0; i-- {
		var next []*syntax.Regexp
		for _, t := range terms {
			next = append(next, cutLast(t, rune(suffix[i]))...)
		}
		terms = unique(next)
		if len(terms) > maxTerms {
			return nil, false
		}
	}
	return terms, true
}

// cutLast returns what matches s where re matches s followed by c.
func cutLast(re *syntax.Regexp, c rune) []*syntax.Regexp {
	switch re.Op {
	case syntax.OpLiteral:
		if last := len(re.Rune) - 1; !sameRune(re.Rune[last], c, re.Flags) {
			return nil
		} else if last > 0 {
			return []*syntax.Regexp{{Op: syntax.OpLiteral, Flags: re.Flags, Rune: re.Rune[:last]}}
		}
		return []*syntax.Regexp{empty}
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			if re.Rune[i] <= c && c <= re.Rune[i+1] {
				return []*syntax.Regexp{empty}
			}
		}
		return nil
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return []*syntax.Regexp{empty}
	case syntax.OpCapture, syntax.OpQuest:
		return cutLast(re.Sub[0], c)
	case syntax.OpStar, syntax.OpPlus:
		repeated := &syntax.Regexp{Op: syntax.OpStar, Flags: re.Flags, Sub: re.Sub}
		return after([]*syntax.Regexp{repeated}, cutLast(re.Sub[0], c))
	case syntax.OpAlternate:
		var out []*syntax.Regexp
		for _, sub := range re.Sub {
			out = append(out, cutLast(sub, c)...)
		}
		return out
	case syntax.OpConcat:
		var out []*syntax.Regexp
		for i := len(re.Sub) - 1; i >= 0; i-- {
			out = append(out, after(re.Sub[:i], cutLast(re.Sub[i], c))...)
			if !matchesEmpty(re.Sub[i]) {
				break
			}
		}
		return out
	default:
		return nil
	}
}

var empty = &syntax.Regexp{Op: syntax.OpEmptyMatch}

// after puts a sequence in front of each term.
func after(first, terms []*syntax.Regexp) []*syntax.Regexp {
	out := make([]*syntax.Regexp, len(terms))
	for i, t := range terms {
		seq := slices.Clone(first)
		switch t.Op {
		case syntax.OpEmptyMatch:
		case syntax.OpConcat:
			seq = append(seq, t.Sub...)
		default:
			seq = append(seq, t)
		}
		switch len(seq) {
		case 0:
			out[i] = empty
		case 1:
			out[i] = seq[0]
		default:
			out[i] = &syntax.Regexp{Op: syntax.OpConcat, Sub: seq}
		}
	}
	return out
}

// unique removes the terms that are written alike.
func unique(terms []*syntax.Regexp) []*syntax.Regexp {
	seen := map[string]bool{}
	return slices.DeleteFunc(terms, func(t *syntax.Regexp) bool {
		s := t.String()
		defer func() { seen[s] = true }()
		return seen[s]
	})
}

func sameRune(a, b rune, flags syntax.Flags) bool {
	if a == b || flags&syntax.FoldCase == 0 {
		return a == b
	}
	for r := unicode.SimpleFold(a); r != a; r = unicode.SimpleFold(r) {
		if r == b {
			return true
		}
	}
	return false
}

func matchesEmpty(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpStar, syntax.OpQuest:
		return true
	case syntax.OpCapture, syntax.OpPlus:
		return matchesEmpty(re.Sub[0])
	case syntax.OpConcat:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !matchesEmpty(sub) })
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, matchesEmpty)
	default:
		return false
	}
}

// matchesAnything reports whether re is written to match everything: .* or .+.
func matchesAnything(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpCapture:
		return matchesAnything(re.Sub[0])
	case syntax.OpStar, syntax.OpPlus:
		return re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL
	default:
		return false
	}
}

// withoutAssertions returns re without ^, $, \b and the like, which would not hold where more follows. It matches what re matches,
// and possibly more.
func withoutAssertions(re *syntax.Regexp) *syntax.Regexp {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return empty
	}
	out := *re
	out.Sub = make([]*syntax.Regexp, len(re.Sub))
	for i, sub := range re.Sub {
		out.Sub[i] = withoutAssertions(sub)
	}
	if out.Op == syntax.OpConcat { // one that is written alike is alike
		out.Sub = slices.DeleteFunc(out.Sub, func(sub *syntax.Regexp) bool { return sub.Op == syntax.OpEmptyMatch })
		return after(out.Sub, []*syntax.Regexp{empty})[0]
	}
	return &out
}
