// SPDX-License-Identifier: Apache-2.0

package scope

import (
	"unicode"

	"github.com/grafana/regexp/syntax"
)

// maxTerms bounds what cutSuffix returns. A pattern of a scope has one or two terms.
const maxTerms = 32

// cutSuffix returns regular expressions, by how they are written, that together match each s for which re matches s+suffix:
// Brzozowski's derivative, from the right and in Antimirov's form, which has no more terms than re has parts. They may match more,
// never less. ok is false when they are too many. re must have no assertions.
func cutSuffix(re *syntax.Regexp, suffix string) (terms map[string]*syntax.Regexp, ok bool) {
	terms = map[string]*syntax.Regexp{re.String(): re}
	for i := len(suffix) - 1; i >= 0; i-- {
		next := map[string]*syntax.Regexp{}
		for _, t := range terms {
			for _, cut := range cutLast(t, rune(suffix[i])) {
				next[cut.String()] = cut
			}
		}
		if terms = next; len(terms) > maxTerms {
			return nil, false
		}
	}
	return terms, true
}

// empty matches the empty text, and so does what is in onlyEmpty.
var (
	empty     = &syntax.Regexp{Op: syntax.OpEmptyMatch}
	onlyEmpty = []*syntax.Regexp{empty}
)

// cutLast returns what matches s where re matches s followed by c.
func cutLast(re *syntax.Regexp, c rune) []*syntax.Regexp {
	switch re.Op {
	case syntax.OpLiteral:
		last := len(re.Rune) - 1
		if r := re.Rune[last]; r != c && (re.Flags&syntax.FoldCase == 0 || unicode.ToLower(r) != c) {
			return nil
		}
		if last == 0 {
			return onlyEmpty
		}
		return []*syntax.Regexp{{Op: syntax.OpLiteral, Flags: re.Flags, Rune: re.Rune[:last]}}
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			if re.Rune[i] <= c && c <= re.Rune[i+1] {
				return onlyEmpty
			}
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return onlyEmpty
	case syntax.OpCapture, syntax.OpQuest:
		return cutLast(re.Sub[0], c)
	case syntax.OpStar, syntax.OpPlus, syntax.OpRepeat: // however often: that is more
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
	}
	return nil
}

// after puts a sequence in front of each term.
func after(first, terms []*syntax.Regexp) []*syntax.Regexp {
	out := make([]*syntax.Regexp, len(terms))
	for i, t := range terms {
		out[i] = concat(append(first[:len(first):len(first)], t))
	}
	return out
}

// concat puts a sequence together. What is the same has one form, so that it is written alike: no empty part and no nested sequence.
func concat(parts []*syntax.Regexp) *syntax.Regexp {
	var flat []*syntax.Regexp
	for _, p := range parts {
		switch p.Op {
		case syntax.OpEmptyMatch:
		case syntax.OpConcat:
			flat = append(flat, p.Sub...)
		default:
			flat = append(flat, p)
		}
	}
	switch len(flat) {
	case 0:
		return empty
	case 1:
		return flat[0]
	default:
		return &syntax.Regexp{Op: syntax.OpConcat, Sub: flat}
	}
}

func matchesEmpty(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpStar, syntax.OpQuest:
		return true
	case syntax.OpRepeat:
		return re.Min == 0 || matchesEmpty(re.Sub[0])
	case syntax.OpCapture, syntax.OpPlus:
		return matchesEmpty(re.Sub[0])
	case syntax.OpConcat:
		return countEmpty(re.Sub) == len(re.Sub)
	case syntax.OpAlternate:
		return countEmpty(re.Sub) > 0
	default:
		return false
	}
}

func countEmpty(parts []*syntax.Regexp) int {
	n := 0
	for _, p := range parts {
		if matchesEmpty(p) {
			n++
		}
	}
	return n
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
	if out.Op == syntax.OpConcat {
		return concat(out.Sub)
	}
	return &out
}
