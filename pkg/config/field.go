package config

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// Type says what a field holds, and so which input a form gives it.
type Type string

const (
	Text     Type = "text"
	Bool     Type = "true or false"
	Int      Type = "whole number"
	Float    Type = "number"
	Duration Type = "duration"
	Bytes    Type = "size"
	Hidden   Type = "secret"
	List     Type = "list"
	Map      Type = "map"
	Section  Type = "section"
)

// Field describes one key of a configuration, for forms and for the reference.
// It comes from the struct field and its tags:
//
//	yaml:"poll"            the key
//	doc:"How often …"      one or more sentences
//	required:"true"        may not be left empty
//	enum:"json,text"       the only values allowed
type Field struct {
	Key      string
	Type     Type
	Of       Type   // what a List or Map holds
	Default  string // as it would be written; lists joined by ", "
	Doc      string
	Required bool
	Secret   bool
	Enum     []string
	Fields   []Field // of a Section, or of the sections in a List
}

var (
	typeDuration = reflect.TypeFor[time.Duration]()
	typeSize     = reflect.TypeFor[Size]()
	typeSecret   = reflect.TypeFor[Secret]()
	typeText     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// fieldsOf describes the struct v, whose values are the defaults. It panics on
// a type that can't be configured: a mistake in the program.
func fieldsOf(v reflect.Value) []Field {
	var out []Field
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		key := keyOf(sf)
		if key == "" {
			continue
		}
		f := Field{Key: key, Doc: sf.Tag.Get("doc"), Required: sf.Tag.Get("required") == "true", Type: typeOf(sf.Type)}
		if f.Doc == "" {
			panic(fmt.Sprintf("config: %s.%s has no doc tag", v.Type(), sf.Name))
		}
		if e := sf.Tag.Get("enum"); e != "" {
			f.Enum = strings.Split(e, ",")
		}
		switch f.Type {
		case Section:
			f.Fields = fieldsOf(v.Field(i))
		case List, Map:
			f.Of = typeOf(sf.Type.Elem())
			if f.Of == Section {
				f.Fields = fieldsOf(reflect.New(sf.Type.Elem()).Elem())
			}
		case Hidden:
			f.Secret = true
		}
		if f.Type != Section && f.Of != Section {
			f.Default = show(v.Field(i))
		}
		out = append(out, f)
	}
	return out
}

// keyOf returns the key of a struct field, empty for one that is not
// configured.
func keyOf(sf reflect.StructField) string {
	key, _, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
	if !sf.IsExported() || key == "-" {
		return ""
	}
	return key
}

func typeOf(t reflect.Type) Type {
	switch {
	case t == typeDuration:
		return Duration
	case t == typeSize:
		return Bytes
	case t == typeSecret:
		return Hidden
	case reflect.PointerTo(t).Implements(typeText):
		return Text
	}
	switch t.Kind() {
	case reflect.String:
		return Text
	case reflect.Bool:
		return Bool
	case reflect.Int, reflect.Int64:
		return Int
	case reflect.Float64:
		return Float
	case reflect.Slice:
		return List
	case reflect.Map:
		return Map
	case reflect.Struct:
		return Section
	}
	panic(fmt.Sprintf("config: fields of type %s are not supported", t))
}

func show(v reflect.Value) string {
	switch {
	case v.Type() == typeSecret:
		return ""
	case v.Type() == typeDuration:
		if v.Int() == 0 {
			return "0"
		}
		return formatDuration(time.Duration(v.Int()))
	case v.Kind() == reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = show(v.Index(i))
		}
		return strings.Join(parts, ", ")
	case v.Kind() == reflect.Map, v.Kind() == reflect.Struct && !v.Type().Implements(reflect.TypeFor[fmt.Stringer]()):
		return ""
	}
	return fmt.Sprint(v.Interface())
}

// writeFields writes a Markdown table of fs, then one for each section.
func writeFields(w io.Writer, level int, path string, fs []Field) {
	fmt.Fprint(w, "| Key | Type | Default | Meaning |\n|---|---|---|---|\n")
	for _, f := range fs {
		if f.Type == Section {
			continue
		}
		kind, def, doc := string(f.Type), f.Default, f.Doc
		switch {
		case f.Type == List || f.Type == Map:
			kind += " of " + string(f.Of)
		case len(f.Enum) > 0:
			kind = "`" + strings.Join(f.Enum, "`, `") + "`"
		}
		if def != "" {
			def = "`" + def + "`"
		}
		if f.Required {
			doc += " Required."
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", path+f.Key, kind, cell(def), cell(doc))
	}
	for _, f := range fs {
		if len(f.Fields) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s %s%s\n\n", strings.Repeat("#", level), path, f.Key)
		if f.Type == Section {
			fmt.Fprintf(w, "%s\n\n", f.Doc)
		}
		writeFields(w, level+1, path+f.Key+".", f.Fields)
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
