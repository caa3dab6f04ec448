package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
)

// DecodeJSON decodes one JSON object into the struct that into points to, and
// refuses keys it does not know. Its error is a [FieldError] in the words of
// those who write such files.
func DecodeJSON(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return Invalid("", "more after the end of the object")
		}
		return nil
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return Invalid(t.Field, "must be %s, not a %s", inWords(t.Type), JSONValue(t))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name = strings.Trim(name, `"`)
		if s := nearest(name, jsonKeys(reflect.TypeOf(into), map[reflect.Type]bool{})); s != "" {
			return Invalid(name, "unknown key; did you mean %s?", s)
		}
		return Invalid(name, "unknown key")
	}
	return Invalid("", "%s", strings.TrimPrefix(err.Error(), "json: "))
}

// JSONValue is what JSON calls the value that err is about: a string, number, bool,
// array or object.
func JSONValue(err *json.UnmarshalTypeError) Word {
	kind, _, _ := strings.Cut(err.Value, " ") // a number comes with its figures
	return Word(kind)
}

// inWords is what JSON calls a value of type t.
func inWords(t reflect.Type) Word {
	switch t.Kind() {
	case reflect.String:
		return Word("a text")
	case reflect.Bool:
		return Word("true or false")
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return Word("a whole number")
	case reflect.Float64:
		return Word("a number")
	case reflect.Slice, reflect.Array:
		return Word("a list")
	case reflect.Pointer:
		return inWords(t.Elem())
	}
	return Word("keys with values")
}

// jsonKeys lists the keys of t and of everything in it.
func jsonKeys(t reflect.Type, seen map[reflect.Type]bool) []string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return jsonKeys(t.Elem(), seen)
	case reflect.Struct:
	default:
		return nil
	}
	if seen[t] {
		return nil
	}
	seen[t] = true
	var keys []string
	for f := range t.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key != "" && key != "-" {
			keys = append(keys, key)
		}
		keys = append(keys, jsonKeys(f.Type, seen)...)
	}
	return keys
}
