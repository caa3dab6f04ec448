package config

import (
	"fmt"
	"io"
	"reflect"
)

// Kind is one sort of thing that people configure and the program opens: a
// connector, a notifier, a search engine. D is what opening needs besides the
// configuration, T is what it gives. A Kind is immutable and safe for
// concurrent use.
//
// From the configuration struct alone come strict decoding, defaults,
// validation, the settings form and the reference. As people edit it in the
// desk, its secrets may refer only to what was laid out for settings; see
// [Secret].
type Kind[D, T any] struct {
	Name string // lower-case word, unique within its list
	Doc  string // one sentence

	fields []Field
	check  func(raw []byte) error
	open   func(raw []byte, deps D) (T, error)
}

// NewKind returns the kind whose configuration is the struct C, with its
// fields described as at [Field], and its defaults. If C has a method
// Validate() error, it is asked after decoding. NewKind panics if C is not
// such a struct.
func NewKind[C, D, T any](name, doc string, defaults C, open func(C, D) (T, error)) Kind[D, T] {
	decodeC := func(raw []byte) (C, error) {
		c := defaults
		d := decoder{confine: true}
		err := d.decode(raw, reflect.ValueOf(&c).Elem())
		return c, err
	}
	return Kind[D, T]{
		Name:   name,
		Doc:    doc,
		fields: fieldsOf(reflect.ValueOf(defaults)),
		check: func(raw []byte) error {
			_, err := decodeC(raw)
			return err
		},
		open: func(raw []byte, deps D) (T, error) {
			c, err := decodeC(raw)
			if err != nil {
				var zero T
				return zero, err
			}
			return open(c, deps)
		},
	}
}

// Fields describes the configuration, in the order of a form.
func (k Kind[D, T]) Fields() []Field { return k.fields }

// Check reports everything wrong with raw, YAML or JSON, as joined
// [FieldError]s. It opens nothing and resolves no secrets.
func (k Kind[D, T]) Check(raw []byte) error { return k.check(raw) }

// Open reads raw, YAML or JSON, strictly over the defaults, and opens it.
func (k Kind[D, T]) Open(raw []byte, deps D) (T, error) {
	t, err := k.open(raw, deps)
	if err != nil {
		return t, fmt.Errorf("%s: %w", k.Name, err)
	}
	return t, nil
}

// Reference writes the kind's part of the configuration reference as Markdown,
// under a heading of the given level.
func (k Kind[D, T]) Reference(w io.Writer, level int) {
	fmt.Fprintf(w, "%.*s %s\n\n%s\n\n", level, "######", k.Name, k.Doc)
	writeFields(w, level+1, "", k.fields)
}
