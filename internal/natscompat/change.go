// SPDX-License-Identifier: Apache-2.0

package natscompat

// Change is one thing that becomes another, or that is to be known.
type Change struct {
	// Path is the key that the change is about, in the configuration as it was given: exporters::natsexporter::org.
	Path string
	// From, To and Why say it in words. From begins with Path where the change is about a key alone.
	From, To, Why string
	// Warn is set where something is delivered no longer or otherwise than before, or is not understood.
	Warn bool
	// Edits make the change. None: nothing has to be done.
	Edits []Edit
}

// String is the change as one line: what -> what (why).
func (c *Change) String() string { return c.From + " -> " + c.To + " (" + c.Why + ")" }

// Edit sets or deletes one key. The edits of all changes are made in their order.
type Edit struct {
	Path string
	// Value is what the key gets: text, a number, a bool, a Ref, a Secret, or maps and lists of these. nil deletes the key.
	Value any
}

// Ref is the value of an environment variable: its name, and after ":-" what it is where the variable is not set or empty.
type Ref string

// String is the reference as a configuration file has it.
func (r Ref) String() string { return "${env:" + string(r) + "}" }

// Secret is a Ref to what is not to be shown.
type Secret string

// String is the reference as a configuration file has it.
func (s Secret) String() string { return Ref(s).String() }

// takenOut is what became of a key that is deleted.
const takenOut = "taken out"

// change notes a change about a key. The caller adds what else there is to it. Not inlined: the size of the binary has a limit,
// and this is called from everywhere.
//
//go:noinline
func (t *translation) change(path, to, why string, edits ...Edit) *Change {
	c := &Change{Path: path, From: path, To: to, Why: why, Edits: edits}
	t.changes = append(t.changes, c)
	return c
}

// takeOut deletes a key.
func (t *translation) takeOut(path, why string) *Change {
	return t.change(path, takenOut, why, Edit{Path: path})
}
