package desk

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/identity"
)

// reports are the functions that say what is wrong with what a person typed
// into a form; one of their arguments is a format.
var reports = []string{"Invalid", "Word", "bad", "add", "fail", "say", "refuse"}

// TestMistakesAreTranslated reads the formats of all mistakes that a form can
// show from the source, and wants each in every language but English.
func TestMistakesAreTranslated(t *testing.T) {
	formats := map[string]string{}
	for _, kind := range []string{"string", "number", "bool", "array", "object"} {
		formats[kind] = "encoding/json"
	}
	for _, dir := range []string{"config", "source", "notify", "settings", "casework", "escalation", "search"} {
		files, err := filepath.Glob(filepath.Join("../../pkg", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, len(files), err)
		}
		for _, file := range files {
			name := filepath.Join(dir, filepath.Base(file))
			// Whoever writes the file of a process reads English.
			if strings.HasSuffix(file, "_test.go") || name == "config/config.go" {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || !slices.Contains(reports, called(call.Fun)) {
					return true
				}
				if called(call.Fun) == "refuse" && !slices.Contains([]string{"CodeInput", "CodeState"}, called(call.Args[0])) {
					return true // the code says all
				}
				for i, arg := range call.Args {
					lit, ok := arg.(*ast.BasicLit)
					if !ok || lit.Kind != token.STRING || i == 0 && len(call.Args) > 1 && called(call.Fun) != "say" {
						continue
					}
					if format, err := strconv.Unquote(lit.Value); err == nil && strings.ContainsAny(format, " %") {
						formats[format] = name
						break
					}
				}
				return true
			})
		}
	}
	if len(formats) < 40 {
		t.Fatalf("%d formats found; the test no longer sees them", len(formats))
	}
	verb := regexp.MustCompile(`%[a-z]`)
	for lang, texts := range loadMistakes(t) {
		for _, format := range slices.Sorted(maps.Keys(formats)) {
			if verb.ReplaceAllString(format, "") == "" {
				continue
			}
			text, ok := texts[format]
			if !ok {
				t.Errorf("%s: no text for %q (%s)", lang, format, formats[format])
				continue
			}
			for i := range verb.FindAllString(format, -1) {
				if !strings.Contains(text, "{"+strconv.Itoa(i)+"}") {
					t.Errorf("%s: %q leaves out {%d} of %q", lang, text, i, format)
				}
			}
		}
		for format := range texts {
			if _, ok := formats[format]; !ok {
				t.Errorf("%s: nobody says %q", lang, format)
			}
		}
	}
}

// TestWhatIsStuckIsSaidInTheLanguage: the bus's own English is left out where there
// are words for it, and a quotation elsewhere.
func TestWhatIsStuckIsSaidInTheLanguage(t *testing.T) {
	all, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("mentions: %w (storage)", bus.ErrFull), "いまは保存できません。少し待ってからもう一度試してください。"},
		{fmt.Errorf("dead letter 7: %w", bus.ErrAbsent), "受け取るサービスが動いていません。起動してからもう一度試してください。"},
		{context.Canceled, "途中で止まりました。もう一度始めてください。"},
		{errors.New("proto: bad wire"), "プログラムの記録:「proto: bad wire」"},
	} {
		if got := all["ja"].stuck(c.err); got != c.want {
			t.Errorf("%v: %s", c.err, got)
		}
	}
}

// TestDeadLettersAreToldInTheLanguage: why and what to do, with the program's own
// words as a quotation.
func TestDeadLettersAreToldInTheLanguage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i, cause := range []string{"message cannot be decoded: proto: bad wire", "handler panicked: index out of range", "no such brand <b>"} {
		b.question(fmt.Sprint(i), "Where is it?")
		seq, err := bus.Tagged.Last(t.Context(), b.Bus)
		b.put(err)
		b.put(bus.Bury(t.Context(), b.Bus, "indexer", bus.Tagged, seq, errors.New(cause)))
	}
	v := b.as("ada", everywhere, identity.Admin)
	v.want(v.get("/dead"), 200, "The message can’t be read.", "The program has a fault", "The service can’t handle it", `The program says: <q lang="en">message cannot be decoded: proto: bad wire</q>`, "no such brand &lt;b&gt;")
	v.want(v.in("ja").get("/dead"), 200, "データを読み取れませんでした。", "プログラムの不具合が起きました。", "このままでは処理できないデータです。", `プログラムの記録: <q lang="en">handler panicked: index out of range</q>`)
}

func called(f ast.Expr) string {
	switch f := f.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

func loadMistakes(t *testing.T) map[string]map[string]string {
	t.Helper()
	all, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{}
	for _, lang := range langs[1:] {
		if _, err := os.Stat(filepath.Join("lang", lang+".mistakes.yaml")); err != nil {
			t.Fatal(err)
		}
		out[lang] = all[lang].mistakes
	}
	return out
}
