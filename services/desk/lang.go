package desk

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"golang.org/x/text/unicode/bidi"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/search"
)

//go:embed lang/*.yaml
var langFiles embed.FS

// words are the texts of the interface in one language. A text may hold the
// places {0}, {1} …; one with " || " has a singular and a plural, chosen by
// the first argument.
type words struct {
	lang  string
	texts map[string]string
	// mistakes are the texts of [config.FieldError]s by their English format;
	// none in English.
	mistakes map[string]string
}

// langs lists the languages of the interface; the first is the default.
var langs = []string{"en", "ja"}

func loadWords() (map[string]*words, error) {
	all := make(map[string]*words, len(langs))
	for _, lang := range langs {
		raw, err := langFiles.ReadFile(path.Join("lang", lang+".yaml"))
		if err != nil {
			return nil, fmt.Errorf("desk: read texts: %w", err)
		}
		w := &words{lang: lang}
		if err := yaml.UnmarshalWithOptions(raw, &w.texts, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("desk: texts of %s: %w", lang, err)
		}
		if raw, err := langFiles.ReadFile(path.Join("lang", lang+".mistakes.yaml")); err == nil {
			if err := yaml.UnmarshalWithOptions(raw, &w.mistakes, yaml.Strict()); err != nil {
				return nil, fmt.Errorf("desk: mistakes of %s: %w", lang, err)
			}
		}
		all[lang] = w
	}
	return all, nil
}

// problem is what is wrong with a field, in the language where it has the
// words.
func (w *words) problem(e *config.FieldError) string {
	if e.Problem == "required" {
		return w.say("form.required")
	}
	if text, ok := w.mistake(e.Format, e.Args); ok {
		return text
	}
	return w.say("form.invalid", upperFirst(e.Problem))
}

// mistake is what is wrong in the language, by the English format that it was made
// of; false where the language has no words for it, as English.
func (w *words) mistake(format string, args []any) (string, bool) {
	text, ok := w.mistakes[format]
	if !ok {
		return "", false
	}
	args = slices.Clone(args)
	for i, arg := range args {
		if word, ok := arg.(config.Word); ok {
			args[i] = cmp.Or(w.mistakes[string(word)], string(word))
		}
	}
	return fill(text, args), true
}

// stuck is why something was not stored or not taken by a service, in the language;
// what it has no words for is quoted.
func (w *words) stuck(err error) string {
	switch {
	case errors.Is(err, bus.ErrFull):
		return w.say("stuck.full")
	case errors.Is(err, bus.ErrAbsent), errors.Is(err, context.DeadlineExceeded):
		return w.say("stuck.absent")
	case errors.Is(err, search.ErrUnavailable), errors.Is(err, search.ErrTimeout):
		return w.say("list.failed_text")
	case errors.Is(err, context.Canceled):
		return w.say("stuck.ended")
	}
	return w.say("stuck.other", err.Error())
}

// why is err in the language, as far as it is about fields: each with its name.
func (w *words) why(err error) string {
	all := fieldErrors(err)
	if len(all) == 0 {
		if w.mistakes == nil {
			return err.Error()
		}
		return w.stuck(err)
	}
	parts := make([]string, len(all))
	for i, e := range all {
		if parts[i] = e.Problem; w.mistakes != nil {
			parts[i] = w.problem(e)
		}
		if e.Key != "" {
			parts[i] = e.Key + ": " + parts[i]
		}
	}
	return strings.Join(parts, "; ")
}

// has tells whether the language has a text for key.
func (w *words) has(key string) bool { _, ok := w.texts[key]; return ok }

// t returns the text for key with its places filled. An unknown key is an
// error, so that a template which uses one can't be executed.
func (w *words) t(key string, args ...any) (string, error) {
	text, ok := w.texts[key]
	if !ok {
		return "", fmt.Errorf("desk: no text %q in %s", key, w.lang)
	}
	return fill(text, args), nil
}

// say is t for code that was tested with its key; an unknown key shows itself.
func (w *words) say(key string, args ...any) string {
	text, err := w.t(key, args...)
	if err != nil {
		return key
	}
	return text
}

func fill(text string, args []any) string {
	if one, many, ok := strings.Cut(text, " || "); ok {
		text = many
		if len(args) > 0 && fmt.Sprint(args[0]) == "1" {
			text = one
		}
	}
	if len(args) == 0 {
		return text
	}
	pairs := make([]string, 0, 2*len(args))
	for i, arg := range args {
		pairs = append(pairs, "{"+strconv.Itoa(i)+"}", isolated(fmt.Sprint(arg)))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// isolated keeps the direction of s to itself where it stands within a sentence:
// what runs from right to left would turn numbers and marks beside it.
func isolated(s string) string {
	turns := func(r rune) bool {
		if r < 0x590 {
			return false
		}
		p, _ := bidi.LookupRune(r)
		return p.Class() == bidi.R || p.Class() == bidi.AL
	}
	if !strings.ContainsFunc(s, turns) {
		return s
	}
	const isolate, end = "\u2068", "\u2069"
	return isolate + s + end
}

// acceptLanguage picks the interface language from a browser's header, which
// it reads in order of appearance.
func acceptLanguage(header string) string {
	for part := range strings.SplitSeq(header, ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		base, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if slices.Contains(langs, base) {
			return base
		}
	}
	return langs[0]
}

// funcs are what templates of the language may call.
func (w *words) funcs(assets *assets) template.FuncMap {
	return template.FuncMap{
		"t":     w.t,
		"asset": assets.url,
		"lang":  func() string { return w.lang },
		"num":   func(n any) string { return number(n) },
		"pct":   func(p float64) string { return strconv.Itoa(int(p*100+0.5)) + "%" },
		"dict":  dict,
		"list":  func(items ...any) []any { return items },
	}
}

// dict makes a map for a partial that wants more than one value.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("desk: dict wants pairs, got %d values", len(pairs))
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("desk: dict key %v is no string", pairs[i])
		}
		m[key] = pairs[i+1]
	}
	return m, nil
}
