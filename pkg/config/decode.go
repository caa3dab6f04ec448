package config

import (
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

const (
	maxInput = 256 << 10 // bytes of one configuration
	maxDepth = 64        // of nested brackets or lists
)

// FieldError is one mistake in a configuration.
type FieldError struct {
	Key     string // dotted path of the key, "bus.url"; empty for the whole
	Line    int    // 1-based; 0 when unknown
	Problem string // what is wrong and how to mend it
	// Format and Args are what Problem was made of, as for [fmt.Sprintf], so
	// that it can be said in another language. Format is empty where the words
	// are somebody else's.
	Format string
	Args   []any
}

// Word is one of a [FieldError]'s Args that has words of its own in another language,
// as a Format has.
type Word string

func (e *FieldError) Error() string {
	s := e.Problem
	if e.Key != "" {
		s = e.Key + ": " + s
	}
	if e.Line > 0 {
		s = "line " + strconv.Itoa(e.Line) + ": " + s
	}
	return s
}

// Invalid returns the [FieldError] of a Validate method. Loading adds the line.
func Invalid(key, format string, args ...any) error {
	e := &FieldError{Key: key}
	e.say(format, args...)
	return e
}

// At returns err as the mistake of key: a [FieldError] that was made without
// knowing the key keeps its words.
func At(key string, err error) error {
	if e, ok := errors.AsType[*FieldError](err); ok && e.Key == "" {
		at := *e
		at.Key = key
		return &at
	}
	return Invalid(key, "%v", err)
}

func (e *FieldError) say(format string, args ...any) {
	e.Problem, e.Format, e.Args = fmt.Sprintf(format, args...), format, args
}

// validator is a configuration struct that checks itself. It reports all
// mistakes at once, joined, each made by [Invalid].
type validator interface{ Validate() error }

// decode reads raw, YAML or JSON, over the struct into, whose values are the
// defaults. All mistakes are reported, joined, in the order of their lines.
func (d *decoder) decode(raw []byte, into reflect.Value) error {
	d.lines = map[string]int{}
	root, err := parse(raw)
	if err != nil {
		return err
	}
	d.structure(root, into, "")
	d.validate(into)
	slices.SortStableFunc(d.errs, func(a, b *FieldError) int { return a.Line - b.Line })
	errs := make([]error, len(d.errs))
	for i, e := range d.errs {
		errs[i] = e
	}
	return errors.Join(errs...)
}

// parse returns the only document in raw, nil if there is none.
func parse(raw []byte) (ast.Node, error) {
	if len(raw) > maxInput {
		return nil, &FieldError{Problem: fmt.Sprintf("larger than %s", Size(maxInput))}
	}
	if line := tooDeep(raw); line > 0 {
		return nil, &FieldError{Line: line, Problem: fmt.Sprintf("nested deeper than %d levels", maxDepth)}
	}
	file, err := parser.ParseBytes(raw, 0)
	if err != nil {
		e := &FieldError{Problem: err.Error()}
		if y, ok := errors.AsType[yaml.Error](err); ok {
			e.Problem = y.GetMessage()
			if t := y.GetToken(); t != nil && t.Position != nil {
				e.Line = t.Position.Line
			}
		}
		return nil, e
	}
	switch {
	case len(file.Docs) == 0:
		return nil, nil
	case len(file.Docs) > 1:
		return nil, &FieldError{Problem: "more than one document; remove the line ---"}
	}
	return file.Docs[0].Body, nil
}

// tooDeep returns the line at which raw nests too deeply for the parser, which
// takes time quadratic in the depth, or 0. It does not know about quotes:
// nobody writes that many brackets in a string.
func tooDeep(raw []byte) int {
	line, depth := 1, 0
	for text := range strings.Lines(string(raw)) {
		if strings.Count(text, "- ") > maxDepth || strings.Count(text, "? ") > maxDepth {
			return line
		}
		for i := range len(text) {
			switch text[i] {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(depth-1, 0)
			}
			if depth > maxDepth {
				return line
			}
		}
		line++
	}
	return 0
}

type decoder struct {
	confine bool                             // secrets, see Secret
	lookup  func(path string) (string, bool) // overrides by dotted path, unless nil
	lines   map[string]int                   // line of each key seen, by dotted path
	errs    []*FieldError
}

func (d *decoder) fail(path string, n ast.Node, format string, args ...any) {
	e := &FieldError{Key: path}
	e.say(format, args...)
	if n != nil && n.GetToken() != nil && n.GetToken().Position != nil {
		e.Line = n.GetToken().Position.Line
	}
	d.errs = append(d.errs, e)
}

// structure decodes the mapping n, which may be nil, over the struct v.
func (d *decoder) structure(n ast.Node, v reflect.Value, path string) {
	pairs, ok := d.mapping(n, path)
	if !ok {
		return
	}
	known := make([]string, 0, v.NumField())
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		key := keyOf(sf)
		if key == "" {
			continue
		}
		known = append(known, key)
		at := join(path, key)
		var node ast.Node
		if j := slices.IndexFunc(pairs, func(p pair) bool { return p.key == key }); j >= 0 {
			node = pairs[j].value
			d.lines[at] = pairs[j].line
		}
		d.field(node, v.Field(i), sf, at)
	}
	for _, p := range pairs {
		if slices.Contains(known, p.key) {
			continue
		}
		e := &FieldError{Key: join(path, p.key), Line: p.line}
		e.say("unknown key")
		if s := nearest(p.key, known); s != "" {
			e.say("unknown key; did you mean %s?", s)
		}
		d.errs = append(d.errs, e)
	}
}

// field decodes n, nil where the key is absent, and applies override, enum and
// required.
func (d *decoder) field(n ast.Node, v reflect.Value, sf reflect.StructField, path string) {
	t := typeOf(v.Type())
	if t == Section {
		d.structure(n, v, path)
		return
	}
	if d.lookup != nil && t != List && t != Map {
		if text, ok := d.lookup(path); ok {
			if err := scalar(text, v); err != nil {
				d.errs = append(d.errs, &FieldError{Key: path, Problem: fmt.Sprintf("from the environment: %v", err)})
			}
			n = nil
		}
	}
	before := len(d.errs)
	if n != nil {
		d.value(n, v, path)
	}
	if len(d.errs) > before {
		return
	}
	if enum := sf.Tag.Get("enum"); enum != "" && v.Kind() == reflect.String {
		if allowed := strings.Split(enum, ","); !slices.Contains(allowed, v.String()) && (v.String() != "" || sf.Tag.Get("required") == "true") {
			d.fail(path, n, "%q is not one of %s", v.String(), strings.Join(allowed, ", "))
			return
		}
	}
	if sf.Tag.Get("required") == "true" && (v.IsZero() || t == List && v.Len() == 0) {
		d.fail(path, n, "required")
	}
}

// value decodes the present node n into v.
func (d *decoder) value(n ast.Node, v reflect.Value, path string) {
	switch t := typeOf(v.Type()); t {
	case Section:
		d.structure(n, v, path)
	case List:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			if _, null := n.(*ast.NullNode); !null {
				d.fail(path, n, "must be a list")
			}
			return
		}
		out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
		for i, item := range seq.Values {
			at := path + "[" + strconv.Itoa(i) + "]"
			if tok := item.GetToken(); tok != nil && tok.Position != nil {
				d.lines[at] = tok.Position.Line
			}
			d.value(item, out.Index(i), at)
		}
		v.Set(out)
	case Map:
		pairs, ok := d.mapping(n, path)
		if !ok {
			return
		}
		out := reflect.MakeMapWithSize(v.Type(), len(pairs))
		for _, p := range pairs {
			item := reflect.New(v.Type().Elem()).Elem()
			d.lines[join(path, p.key)] = p.line
			d.value(p.value, item, join(path, p.key))
			out.SetMapIndex(reflect.ValueOf(p.key).Convert(v.Type().Key()), item)
		}
		v.Set(out)
	default:
		text, ok := scalarText(n)
		if !ok {
			d.fail(path, n, "must be a plain value (%s), not a %s", t, strings.ToLower(n.Type().String()))
			return
		}
		if _, null := n.(*ast.NullNode); null {
			return // an empty value keeps the default
		}
		err := scalar(text, v)
		if s, ok := v.Addr().Interface().(*Secret); ok && err == nil && d.confine {
			err = s.confine()
		}
		if e, ok := errors.AsType[*FieldError](err); ok {
			d.fail(path, n, e.Format, e.Args...)
		} else if err != nil {
			d.fail(path, n, "%v", err)
		}
	}
}

type pair struct {
	key   string
	line  int
	value ast.Node
}

// mapping returns the pairs of n; none for nil and null.
func (d *decoder) mapping(n ast.Node, path string) ([]pair, bool) {
	switch n := n.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return nil, true
	case *ast.MappingNode:
		out := make([]pair, 0, len(n.Values))
		for _, v := range n.Values {
			key, ok := scalarText(v.Key)
			if !ok {
				d.fail(path, v.Key, "keys must be plain words; anchors and merge keys are not supported")
				return nil, false
			}
			out = append(out, pair{key, v.Key.GetToken().Position.Line, v.Value})
		}
		return out, true
	}
	d.fail(path, n, "must be keys with values")
	return nil, false
}

// scalarText returns the text of a plain value.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.NullNode:
		return "", true
	}
	return "", false
}

// scalar sets v from its text.
func scalar(text string, v reflect.Value) error {
	if l, ok := v.Addr().Interface().(*slog.Level); ok {
		if l.UnmarshalText([]byte(text)) != nil {
			return Invalid("", "%q is not one of debug, info, warn, error", text)
		}
		return nil
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if v.Type() == typeDuration {
		dur, err := parseDuration(text)
		v.SetInt(int64(dur))
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return Invalid("", "%q is neither true nor false", text)
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return Invalid("", "%q is not a whole number", text)
		}
		v.SetInt(n)
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return Invalid("", "%q is not a number", text)
		}
		v.SetFloat(f)
	}
	return nil
}

// validate asks v itself, and gives its answers their lines. Of a key that is
// wrong already, and so kept its default, it has nothing to add.
func (d *decoder) validate(v reflect.Value) {
	c, ok := v.Addr().Interface().(validator)
	if !ok {
		return
	}
	for _, err := range flatten(c.Validate()) {
		e := FieldError{Problem: err.Error()}
		if fe, ok := errors.AsType[*FieldError](err); ok {
			e = *fe
		}
		if e.Line == 0 {
			e.Line = d.lines[e.Key]
		}
		if e.Key != "" && slices.ContainsFunc(d.errs, func(was *FieldError) bool { return was.Key == e.Key }) {
			continue
		}
		d.errs = append(d.errs, &e)
	}
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range many.Unwrap() {
		out = append(out, flatten(e)...)
	}
	return out
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// nearest returns the known key that is at most two edits, and less than half
// the word, away; empty if there is none.
func nearest(key string, known []string) string {
	best, min := "", 3
	for _, k := range known {
		if d := distance(key, k); d < min && 2*d <= len(k) {
			best, min = k, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}
