// SPDX-License-Identifier: Apache-2.0

package configfile

import "errors"

// ParseYAML parses a YAML file that is no configuration, with the same bounds and the same care for positions as Parse. Its Kind is 0,
// and its root may be anything; it has no jobs. Name is what it is called in messages. The error is an *Error.
func ParseYAML(name string, text []byte) (*File, error) {
	f := &File{Name: name, Text: text}
	if err := f.checkText(); err != nil {
		return nil, err
	}
	f.lines = lineStarts(text)
	if err := f.decode(); err != nil {
		var e *Error
		if errors.As(err, &e) && e.Line == 0 {
			e.Message = "the file has no content: is it the right one?"
		}
		return nil, err
	}
	if err := f.checkNodes(); err != nil {
		return nil, err
	}
	return f, nil
}

// ErrorAt is an *Error at a position of the file.
func (f *File) ErrorAt(pos Position, format string, args ...any) error {
	return f.errorAt(pos, format, args...)
}

// Offset returns where in Text a position is, in bytes. It is false for a position that the text has not got.
func (f *File) Offset(pos Position) (int, bool) { return f.offset(pos) }
