// SPDX-License-Identifier: Apache-2.0

package configfile

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxText  = 10 << 20 // bytes
	maxNodes = 1_000_000
	maxDepth = 100
)

var bom = []byte("\xef\xbb\xbf")

// checkText refuses what is no text, which the YAML library reports without a place.
func (f *File) checkText() error {
	text := f.Text
	switch {
	case len(text) > maxText:
		return f.errorAt(Position{}, "is larger than %d MiB: a configuration was expected", maxText>>20)
	case bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")):
		return f.errorAt(Position{1, 1}, "is UTF-16: convert it to UTF-8")
	}
	line, column, separators := 1, 0, 0
	for i := len(text) - len(bytes.TrimPrefix(text, bom)); i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		column++
		switch {
		case r == utf8.RuneError && size == 1:
			return f.errorAt(Position{line, column}, "byte 0x%02x is not UTF-8: a configuration is UTF-8 text", text[i])
		case !printable(r):
			return f.errorAt(Position{line, column}, "character U+%04X is not allowed in YAML: a configuration is text", r)
		case r == '\n':
			line, column = line+1, 0
			separators++
		case strings.ContainsRune(":,[{-?", r):
			separators++
		}
		i += size
	}
	// Each node but the first has one of these before it, and takes 200 bytes of memory where it may have taken 2 of text.
	if separators > 2*maxNodes {
		return f.errorAt(Position{}, "has more than %d values: split it", maxNodes)
	}
	return nil
}

// printable is c-printable of YAML 1.2, less what the library refuses.
func printable(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r', r == 0x85:
		return true
	case r < ' ', r >= 0x7f && r < 0xa0, r == 0xfeff, r == 0xfffe, r == 0xffff:
		return false
	}
	return true
}

// lineStarts splits lines where the YAML library does, which counts them also at NEL, LS and PS.
func lineStarts(text []byte) []int {
	starts := []int{len(text) - len(bytes.TrimPrefix(text, bom))}
	for i := starts[0]; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		i += size
		switch r {
		case '\r':
			if i < len(text) && text[i] == '\n' {
				i++
			}
		case '\n', 0x85, 0x2028, 0x2029:
		default:
			continue
		}
		starts = append(starts, i)
	}
	return starts
}

var errorLine = regexp.MustCompile(`^line (\d+): `)

// syntaxError gives an error of the YAML library a place and a remedy.
func (f *File) syntaxError(err error) error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	pos := Position{1, 1}
	if m := errorLine.FindStringSubmatch(message); m != nil {
		message = message[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil {
			pos.Line = n
		}
		// Its parser, unlike its scanner, counts lines from 0.
		if strings.HasPrefix(message, "did not find expected") {
			pos.Line++
		}
	}
	pos.Line = min(pos.Line, len(f.lines))
	remedy := "mend the YAML there, or on the line above"
	line := f.line(pos.Line)
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	pos.Column = utf8.RuneCountInString(indent) + 1
	switch tab := strings.IndexByte(line, '\t'); {
	case strings.Contains(indent, "\t"):
		pos.Column = strings.IndexByte(indent, '\t') + 1
		remedy = "indent with spaces: YAML does not allow tabs there"
	case tab >= 0 && strings.Contains(message, "cannot start any token"):
		pos.Column = utf8.RuneCountInString(line[:tab]) + 1
		remedy = "replace the tab by spaces"
	case strings.Contains(message, "unknown anchor"):
		if m := anchorName.FindStringSubmatch(message); m != nil {
			pos = f.find("*" + m[1])
		}
		remedy = "define it above with &name, or correct the name"
	case strings.Contains(message, "unknown escape character"):
		remedy = "write a regular expression in single quotes or without quotes"
	case strings.Contains(message, "mapping values are not allowed"):
		remedy = "quote a value that has a colon and a space in it, and indent keys alike"
	case strings.Contains(message, "expected ',' or"):
		remedy = "quote a value that has one of , ? : [ ] { } in it, and close each bracket"
	case strings.Contains(message, "cannot start any token"), strings.Contains(message, "did not find expected alphabetic"):
		remedy = "quote a value that begins with one of @ ` % * & ! | >"
	}
	return f.errorAt(pos, "not valid YAML: %s: %s", message, remedy)
}

var anchorName = regexp.MustCompile(`unknown anchor '([^']*)'`)

// line returns a line's text without its end; lines count from 1.
func (f *File) line(number int) string {
	if number < 1 || number > len(f.lines) {
		return ""
	}
	end := len(f.Text)
	if number < len(f.lines) {
		end = f.lines[number]
	}
	return strings.TrimRight(string(f.Text[f.lines[number-1]:end]), "\r\n\u0085\u2028\u2029")
}

// Line returns the text of a line, without its end. Lines count from 1; there is no text in others.
func (f *File) Line(number int) string { return f.line(number) }

// find returns where text first stands.
func (f *File) find(text string) Position {
	for i := range f.lines {
		if line := f.line(i + 1); strings.Contains(line, text) {
			return Position{i + 1, utf8.RuneCountInString(line[:strings.Index(line, text)]) + 1}
		}
	}
	return Position{1, 1}
}

// size is what a node comes to with its aliases replaced.
type size struct {
	nodes, depth int
	done         bool
}

// checkNodes refuses what would run away when aliases are replaced, and keys that are there twice.
func (f *File) checkNodes() error {
	sizes := map[*yaml.Node]*size{}
	var visit func(n *yaml.Node, level int) (*size, error)
	visit = func(n *yaml.Node, level int) (*size, error) {
		if level > maxDepth {
			return nil, f.errorAt(f.Pos(n), "is nested deeper than %d levels: a configuration was expected", maxDepth)
		}
		if n.Kind == yaml.AliasNode {
			// An anchor stands before its aliases and has been seen, to its end or not.
			s := sizes[n.Alias]
			if s == nil || !s.done {
				return nil, f.errorAt(f.Pos(n), "*%s stands inside of what it refers to: an alias cannot contain itself", short(n.Value))
			}
			return s, nil
		}
		s := &size{nodes: 1}
		sizes[n] = s
		if n.Kind == yaml.MappingNode {
			if err := f.checkKeys(n); err != nil {
				return nil, err
			}
		}
		for _, child := range n.Content {
			c, err := visit(child, level+1)
			if err != nil {
				return nil, err
			}
			s.nodes, s.depth = s.nodes+c.nodes, max(s.depth, c.depth+1)
			switch {
			case s.nodes > maxNodes:
				return nil, f.errorAt(f.Pos(child), "the file has more than %d values with aliases replaced: split it, or remove aliases of aliases", maxNodes)
			case s.depth > maxDepth:
				return nil, f.errorAt(f.Pos(child), "is nested deeper than %d levels once aliases are replaced: remove aliases of aliases", maxDepth)
			}
		}
		s.done = true
		return s, nil
	}
	_, err := visit(f.Root, 0)
	return err
}

// checkKeys refuses a key that is in a mapping twice: neither the collector nor Prometheus starts with one.
func (f *File) checkKeys(mapping *yaml.Node) error {
	seen := make(map[string]*yaml.Node, len(mapping.Content)/2)
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key := mapping.Content[i]
		if key.Kind != yaml.ScalarNode {
			continue
		}
		if first := seen[key.Value]; first != nil {
			return f.errorAt(f.Pos(key), "key %q is set on line %d already: remove one of the two", short(key.Value), first.Line)
		}
		seen[key.Value] = key
	}
	return nil
}

// Lines returns the number of lines of the file.
func (f *File) Lines() int { return len(f.lines) }
