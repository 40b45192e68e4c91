// SPDX-License-Identifier: Apache-2.0

package configfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Edit replaces the bytes from Start to End of a file's Text by New.
type Edit struct {
	Start, End int
	New        string
}

// Apply returns the file with edits made, parsed again. Everything that they do not name stays as it is, to the byte. Edits
// must not overlap. The error is an *Error when the result is no configuration any more.
func (f *File) Apply(edits ...Edit) (*File, error) {
	text, err := f.Edited(edits...)
	if err != nil {
		return nil, err
	}
	return Parse(f.Name, text)
}

// Edited returns the text of the file with edits made, as Apply does, and does not look at it.
func (f *File) Edited(edits ...Edit) ([]byte, error) {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b Edit) int { return a.Start - b.Start })
	var text bytes.Buffer
	at := 0
	for _, e := range edits {
		if e.Start < at || e.End < e.Start || e.End > len(f.Text) {
			return nil, fmt.Errorf("%s: edits overlap at byte %d: make one after the other", f.Name, e.Start)
		}
		text.Write(f.Text[at:e.Start])
		text.WriteString(e.New)
		at = e.End
	}
	text.Write(f.Text[at:])
	return text.Bytes(), nil
}

// offset returns where a position is in Text.
func (f *File) offset(pos Position) (int, bool) {
	if pos.Line < 1 || pos.Line > len(f.lines) || pos.Column < 1 {
		return 0, false
	}
	i := f.lines[pos.Line-1]
	for range pos.Column - 1 {
		if i >= len(f.Text) {
			return 0, false
		}
		_, size := utf8.DecodeRune(f.Text[i:])
		i += size
	}
	return i, true
}

// scalarRange returns where a scalar's text is, with its quotes and without anchor and tag. It does not find the end of those
// that go over several lines.
func (f *File) scalarRange(n *yaml.Node) (start, end int, ok bool) {
	start, ok = f.offset(f.Pos(n))
	if !ok || n.Kind != yaml.ScalarNode || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return 0, 0, false
	}
	rest := firstLine(f.Text[start:])
	for len(rest) > 0 && (rest[0] == '&' || rest[0] == '!') {
		word := bytes.IndexAny(rest, " \t")
		if word < 0 {
			return 0, 0, false
		}
		skip := word + len(rest[word:]) - len(bytes.TrimLeft(rest[word:], " \t"))
		start, rest = start+skip, rest[skip:]
	}
	length := len(n.Value)
	switch {
	case n.Style&yaml.SingleQuotedStyle != 0:
		length = quotedLength(rest, '\'')
	case n.Style&yaml.DoubleQuotedStyle != 0:
		length = quotedLength(rest, '"')
	case !bytes.HasPrefix(rest, []byte(n.Value)):
		return 0, 0, false
	}
	if length < 0 || length > len(rest) {
		return 0, 0, false
	}
	return start, start + length, true
}

// firstLine returns the first line of text without its end.
func firstLine(text []byte) []byte {
	if i := bytes.IndexAny(text, "\r\n\u0085\u2028\u2029"); i >= 0 {
		return text[:i]
	}
	return text
}

// quotedLength returns the length of a quoted scalar at the beginning of a line, or -1 when it does not end on it.
func quotedLength(line []byte, quote byte) int {
	if len(line) == 0 || line[0] != quote {
		return -1
	}
	for i := 1; i < len(line); i++ {
		switch {
		case line[i] == '\\' && quote == '"':
			i++
		case line[i] == quote && quote == '\'' && i+1 < len(line) && line[i+1] == quote:
			i++
		case line[i] == quote:
			return i + 1
		}
	}
	return -1
}

// EndColumn returns the column behind a scalar on its line, or 0 for what goes over several lines.
func (f *File) EndColumn(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	start, end, ok := f.scalarRange(n)
	if !ok {
		return 0
	}
	begin, _ := f.offset(f.Pos(n))
	return n.Column + utf8.RuneCount(f.Text[begin:start]) + utf8.RuneCount(f.Text[start:end])
}

var errManyLines = errors.New("goes over several lines or cannot be found again: change it by hand")

// ReplaceScalar replaces a scalar by a text. The quotes that it has are kept where they can be, and added where the text
// needs them. In a collector's file the caller writes $$ for $.
func (f *File) ReplaceScalar(n *yaml.Node, value string) (Edit, error) {
	start, end, ok := f.scalarRange(n)
	if !ok {
		return Edit{}, fmt.Errorf("%s:%d:%d: value %w", f.Name, n.Line, n.Column, errManyLines)
	}
	return Edit{Start: start, End: end, New: quote(value, n.Style)}, nil
}

// quote writes a text as a scalar of a style.
func quote(value string, style yaml.Style) string {
	plainText := !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || !printable(r) })
	switch {
	case style&yaml.SingleQuotedStyle != 0 && plainText:
		return "'" + strings.ReplaceAll(value, "'", "''") + "'"
	case style&yaml.DoubleQuotedStyle != 0 || !plainText:
		return doubleQuoted(value)
	case plainScalar(value):
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", "''") + "'"
}

// doubleQuoted lets the library write the escapes.
func doubleQuoted(value string) string {
	out, err := yaml.Marshal(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: value})
	if err != nil {
		return `""`
	}
	return strings.TrimSuffix(string(out), "\n")
}

// plainScalar says whether a text can stand without quotes, in a flow collection too.
func plainScalar(value string) bool {
	if strings.ContainsAny(value, ",[]{}") {
		return false
	}
	var n yaml.Node
	if yaml.Unmarshal([]byte("- "+value+" # x"), &n) != nil || len(n.Content) != 1 {
		return false
	}
	list := n.Content[0]
	return list.Kind == yaml.SequenceNode && len(list.Content) == 1 && list.Content[0].Kind == yaml.ScalarNode &&
		list.Content[0].Style == 0 && list.Content[0].Value == value && value != ""
}

// DeleteItem removes an item from a sequence, with everything below it. Comments above it stay. It needs the sequence as it
// stands in the file, not one that was resolved from an alias elsewhere.
func (f *File) DeleteItem(sequence *yaml.Node, index int) (Edit, error) {
	if sequence.Kind != yaml.SequenceNode || index < 0 || index >= len(sequence.Content) {
		return Edit{}, fmt.Errorf("%s:%d:%d: there is no item %d", f.Name, sequence.Line, sequence.Column, index)
	}
	item := sequence.Content[index]
	refused := fmt.Errorf("%s:%d:%d: item %w", f.Name, item.Line, item.Column, errManyLines)
	if sequence.Style&yaml.FlowStyle != 0 {
		return f.deleteFlowItem(sequence, index, refused)
	}
	start, ok := f.dash(item)
	if !ok {
		return Edit{}, refused
	}
	return Edit{Start: start, End: f.blockEnd(item, start)}, nil
}

// dash returns where the line with the dash of a block item begins. Nothing else may be in front of the dash.
func (f *File) dash(item *yaml.Node) (int, bool) {
	at, ok := f.offset(f.Pos(item))
	if !ok {
		return 0, false
	}
	begin := f.lines[item.Line-1]
	before := string(f.Text[begin:at])
	return begin, strings.TrimLeft(strings.TrimRight(before, " \t"), " ") == "-"
}

// blockEnd returns where the lines of a block item end that begins at start: before the next node of the file, less the
// comments and empty lines that belong to that one.
func (f *File) blockEnd(item *yaml.Node, start int) int {
	indent := len(f.Text[start:]) - len(bytes.TrimLeft(f.Text[start:], " "))
	last := len(f.lines)
	if next := f.after(item); next != nil {
		last = next.Line - 1
	}
	first := item.Line
	for ; last > first; last-- {
		line := f.line(last)
		text := strings.TrimLeft(line, " \t")
		depth := len(line) - len(text)
		// The dash of the next item may stand on a line before it.
		text = strings.TrimLeft(strings.TrimPrefix(text, "-"), " ")
		if text != "" && (text[0] != '#' || depth > indent) {
			break
		}
	}
	if last < len(f.lines) {
		return f.lines[last]
	}
	return len(f.Text)
}

// after returns the first node that stands behind all of n.
func (f *File) after(n *yaml.Node) *yaml.Node {
	var next *yaml.Node
	inside, passed := false, false
	var visit func(*yaml.Node)
	visit = func(v *yaml.Node) {
		if next != nil {
			return
		}
		if passed {
			next = v
			return
		}
		inside = inside || v == n
		for _, child := range v.Content {
			visit(child)
		}
		if v == n {
			inside, passed = false, true
		}
	}
	visit(f.Root)
	return next
}

func (f *File) deleteFlowItem(sequence *yaml.Node, index int, refused error) (Edit, error) {
	start, end, ok := f.scalarRange(sequence.Content[index])
	if !ok {
		return Edit{}, refused
	}
	switch {
	case index+1 < len(sequence.Content):
		if end, ok = f.offset(f.Pos(sequence.Content[index+1])); !ok {
			return Edit{}, refused
		}
	case index > 0:
		if _, start, ok = f.scalarRange(sequence.Content[index-1]); !ok {
			return Edit{}, refused
		}
	}
	return Edit{Start: start, End: end}, nil
}

// DeleteKey removes a key and its value from a block mapping, as it stands in the file. Comments above it stay.
func (f *File) DeleteKey(mapping *yaml.Node, key string) (Edit, error) {
	for i := 0; mapping.Kind == yaml.MappingNode && i+1 < len(mapping.Content); i += 2 {
		k, v := mapping.Content[i], mapping.Content[i+1]
		if k.Value != key {
			continue
		}
		refused := fmt.Errorf("%s:%d:%d: key %q cannot be taken out here: remove it by hand", f.Name, k.Line, k.Column, key)
		start, ok := f.offset(f.Pos(k))
		if !ok || mapping.Style&yaml.FlowStyle != 0 {
			return Edit{}, refused
		}
		begin := f.lines[k.Line-1]
		if strings.TrimLeft(string(f.Text[begin:start]), " ") == "" {
			return Edit{Start: begin, End: f.blockEnd(v, begin)}, nil
		}
		// Behind a dash, the next key takes its place.
		if i+2 >= len(mapping.Content) || mapping.Content[i+2].Column != k.Column {
			return Edit{}, refused
		}
		end, ok := f.offset(f.Pos(mapping.Content[i+2]))
		if !ok {
			return Edit{}, refused
		}
		return Edit{Start: start, End: end}, nil
	}
	return Edit{}, fmt.Errorf("%s:%d:%d: there is no key %q", f.Name, mapping.Line, mapping.Column, key)
}
