package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/embedded"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/notify"
	"github.com/earshot/earshot/pkg/source"
)

// repository is the root, from this package.
const repository = "../.."

// generated is written by `earshot docs`; here it is always as it would be now.
const generated = "docs/configuration.md"

// document is a Markdown file, taken apart.
type document struct {
	name  string // from the root
	raw   string
	lines []docLine
}

// docLine is a line of a document. Code is set within fenced and indented
// blocks; info is what stands behind the fence.
type docLine struct {
	n    int
	text string
	code bool
	info string
}

// documents reads every Markdown file of the repository.
func documents(t *testing.T) map[string]*document {
	t.Helper()
	docs := map[string]*document{}
	err := filepath.WalkDir(repository, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(repository, name)
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && rel != "." || slices.Contains([]string{"bin", "data", "data-demo", "testdata"}, d.Name())) {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(name) != ".md" {
			return nil
		}
		raw, err := os.ReadFile(name)
		docs[filepath.ToSlash(rel)] = newDocument(filepath.ToSlash(rel), string(raw))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var ref bytes.Buffer
	if err := reference(&ref); err != nil {
		t.Fatal(err)
	}
	docs[generated] = newDocument(generated, ref.String())
	return docs
}

func newDocument(name, raw string) *document {
	d := &document{name: name, raw: raw}
	fence, info, blank := "", "", true
	for i, text := range strings.Split(raw, "\n") {
		l := docLine{n: i + 1, text: text}
		trimmed := strings.TrimSpace(text)
		switch mark, rest, found := strings.Cut(trimmed, "```"); {
		case found && mark == "" && fence == "":
			fence, info = "```", rest
		case fence != "" && trimmed == fence:
			fence, info = "", ""
		case fence != "":
			l.code, l.info = true, info
		default:
			indented := strings.HasPrefix(text, "    ")
			inBlock := i > 0 && d.lines[i-1].code && d.lines[i-1].info == "indented"
			if indented && (blank || inBlock) {
				l.code, l.info = true, "indented"
			}
		}
		blank = trimmed == ""
		d.lines = append(d.lines, l)
	}
	return d
}

// blocks are the fenced blocks whose info string begins with info, by the line
// they begin at.
func (d *document) blocks(info string) map[int]string {
	out := map[int]string{}
	at := 0
	for _, l := range d.lines {
		if !l.code || !strings.HasPrefix(l.info, info) {
			at = 0
			continue
		}
		if at == 0 {
			at = l.n
		}
		out[at] += l.text + "\n"
	}
	return out
}

var (
	codeSpan = regexp.MustCompile("`[^`]+`")
	docLink  = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)[^)]*\)`)
)

// rows are the cells of all table rows of d.
func (d *document) rows() [][]string {
	var out [][]string
	for _, l := range d.lines {
		if l.code || !strings.HasPrefix(l.text, "|") {
			continue
		}
		text := strings.ReplaceAll(strings.Trim(strings.TrimSpace(l.text), "|"), `\|`, "\x00")
		var cells []string
		for _, c := range strings.Split(text, "|") {
			cells = append(cells, strings.TrimSpace(strings.ReplaceAll(c, "\x00", "|")))
		}
		out = append(out, cells)
	}
	return out
}

// spans are the pieces of code in a cell.
func spans(cell string) []string {
	var out []string
	for _, s := range codeSpan.FindAllString(cell, -1) {
		out = append(out, strings.Trim(s, "`"))
	}
	return out
}

// anchors are the targets that d's headings give, as GitHub makes them.
func (d *document) anchors() map[string]bool {
	out := map[string]bool{}
	for _, l := range d.lines {
		if l.code || !strings.HasPrefix(l.text, "#") {
			continue
		}
		title := strings.ToLower(strings.TrimSpace(strings.TrimLeft(l.text, "#")))
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsNumber(r), unicode.IsMark(r), r == '-', r == '_':
				return r
			}
			return -1
		}, title)
		base := slug
		for n := 1; out[slug]; n++ {
			slug = fmt.Sprintf("%s-%d", base, n)
		}
		out[slug] = true
	}
	return out
}

func TestLinksInDocumentsLeadSomewhere(t *testing.T) {
	docs := documents(t)
	for _, d := range docs {
		for _, l := range d.lines {
			if l.code {
				continue
			}
			for _, m := range docLink.FindAllStringSubmatch(codeSpan.ReplaceAllString(l.text, ""), -1) {
				if strings.Contains(m[1], ":") {
					continue // another site
				}
				file, anchor, _ := strings.Cut(m[1], "#")
				target := d.name
				if file != "" {
					target = path.Join(path.Dir(d.name), file)
				}
				if strings.HasPrefix(target, "..") || path.IsAbs(target) {
					t.Errorf("%s:%d: %s leads out of the repository", d.name, l.n, m[1])
					continue
				}
				to := docs[target]
				if _, err := os.Stat(filepath.Join(repository, target)); err != nil && to == nil {
					t.Errorf("%s:%d: %s: there is no %s", d.name, l.n, m[1], target)
				} else if anchor != "" && (to == nil || !to.anchors()[anchor]) {
					t.Errorf("%s:%d: %s: no such heading", d.name, l.n, m[1])
				}
			}
		}
	}
}

// TestDocumentsNameNobodysMachine: paths in examples are those of a reader.
func TestDocumentsNameNobodysMachine(t *testing.T) {
	machine := regexp.MustCompile("(^|[\\s\"'(`=])/(home|root|Users|work|workspace)/")
	for _, d := range documents(t) {
		for _, l := range d.lines {
			if machine.MatchString(l.text) {
				t.Errorf("%s:%d: a path of somebody's machine: %s", d.name, l.n, strings.TrimSpace(l.text))
			}
		}
	}
}

// TestCommandsInDocumentsExist holds every use of the program in a code block,
// and every code span that begins with its name, to the real flag sets.
func TestCommandsInDocumentsExist(t *testing.T) {
	n := 0
	for _, d := range documents(t) {
		for _, l := range d.lines {
			uses := [][]string{strings.Fields(l.text)}
			if !l.code {
				uses = nil
				for _, s := range spans(l.text) {
					uses = append(uses, strings.Fields(s))
				}
			}
			for _, words := range uses {
				if args := useOf(words); args != nil {
					n++
					checkUse(t, fmt.Sprintf("%s:%d", d.name, l.n), args)
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d uses were found", n)
	}
}

// useOf returns what follows the program's name where that stands as a command.
func useOf(words []string) []string {
	for i, w := range words {
		if w != "earshot" && !strings.HasSuffix(w, "/earshot") {
			continue
		}
		if i > 0 && !slices.Contains([]string{"sudo", "$", "|", "&&", ";", "--", "run", "exec"}, words[i-1]) {
			continue
		}
		args := words[i+1:]
		if end := slices.IndexFunc(args, func(a string) bool { return slices.Contains([]string{"|", "&&", ";", ">", "<", "#", "\\"}, a) }); end >= 0 {
			args = args[:end]
		}
		if len(args) > 0 && strings.ToLower(args[0]) == args[0] {
			return args
		}
	}
	return nil
}

func checkUse(t *testing.T, at string, args []string) {
	t.Helper()
	if args[0] == "help" || strings.HasPrefix(args[0], "-") {
		return
	}
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == args[0] })
	if i < 0 {
		t.Errorf("%s: earshot %s: there is no such command", at, args[0])
		return
	}
	var out, errw bytes.Buffer
	if status := run(t.Context(), []string{args[0], "--help"}, nil, &out, &errw); status != 0 {
		t.Errorf("%s: earshot %s --help: status %d, %s", at, args[0], status, errw.String())
	}
	for _, a := range args[1:] {
		if name, _, _ := strings.Cut(a, "="); strings.HasPrefix(name, "--") && name != "--help" && !strings.Contains(out.String(), "\n  "+name) {
			t.Errorf("%s: earshot %s has no flag %s", at, args[0], name)
		}
	}
}

func TestMakeTargetsInDocumentsExist(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(repository, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	target := regexp.MustCompile(`^make ([a-z]+)$`)
	for _, d := range documents(t) {
		for _, l := range d.lines {
			texts := spans(l.text)
			if l.code {
				texts = []string{strings.TrimSpace(l.text)}
			}
			for _, text := range texts {
				if m := target.FindStringSubmatch(text); m != nil && !strings.Contains(string(raw), "\n"+m[1]+":") {
					t.Errorf("%s:%d: there is no target %s", d.name, l.n, m[1])
				}
			}
		}
	}
}

func TestTheLayoutIsDocumented(t *testing.T) {
	d := documents(t)["docs/extend/layout.md"]
	have := map[string][]string{}
	for _, cells := range d.rows() {
		if name := spans(cells[0]); len(cells) == 3 && len(name) == 1 && strings.HasPrefix(name[0], "pkg/") {
			have[name[0]] = spans(cells[2])
		}
	}
	for name, want := range mayImport {
		got, ok := have[name]
		slices.Sort(got)
		want := slices.Sorted(slices.Values(want))
		if !ok {
			t.Errorf("%s: no row for %s", d.name, name)
		} else if !slices.Equal(got, want) {
			t.Errorf("%s: %s may import %s, the test allows %s", d.name, name, got, want)
		}
	}
	for name := range have {
		if _, ok := mayImport[name]; !ok {
			t.Errorf("%s: %s is not in the test's table", d.name, name)
		}
	}
	for prefix, only := range foreign {
		if !strings.Contains(d.raw, "`"+strings.TrimSuffix(prefix, "/")+"`") || !strings.Contains(d.raw, "`"+only[0]+"`") {
			t.Errorf("%s does not say that only %s imports %s", d.name, only, prefix)
		}
	}
}

// TestEveryKeyIsInTheReference: the page that is in the repository knows every
// key. That it is current to the letter is checked by `make verify`.
func TestEveryKeyIsInTheReference(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(repository, generated))
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is missing: run make docs", generated)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range slices.Concat(keysOf(reflect.TypeFor[config.File]()), fieldKeys(source.Kinds, func(k source.Kind) []config.Field { return k.Fields() }), fieldKeys(notify.Kinds, notify.Kind.Fields)) {
		if !bytes.Contains(raw, []byte("`"+key+"`")) && !bytes.Contains(raw, []byte("."+key+"`")) {
			t.Errorf("%s does not have the key %s: run make docs", generated, key)
		}
	}
}

func keysOf(s reflect.Type) (keys []string) {
	for i := range s.NumField() {
		f := s.Field(i)
		if f.Type.Kind() == reflect.Struct && f.Type.Name() != "Secret" {
			keys = append(keys, keysOf(f.Type)...)
			continue
		}
		if key, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

func fieldKeys[K any](kinds []K, fields func(K) []config.Field) (keys []string) {
	for _, k := range kinds {
		for _, f := range fields(k) {
			keys = append(keys, f.Key)
		}
	}
	return keys
}

// TestTheGlossaryIsComplete: every label has a row with the words of the desk.
func TestTheGlossaryIsComplete(t *testing.T) {
	d := documents(t)["docs/use/glossary.md"]
	rows := map[string][]string{}
	for _, cells := range d.rows() {
		if code := spans(cells[0]); len(code) == 1 && len(cells) >= 3 {
			rows[code[0]] = cells
		}
	}
	words := map[string]map[string]string{}
	for _, lang := range []string{"en", "ja"} {
		raw, err := os.ReadFile("../desk/lang/" + lang + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		var texts map[string]string
		if err := yaml.Unmarshal(raw, &texts); err != nil {
			t.Fatal(err)
		}
		words[lang] = texts
	}
	check := func(prefix string, codes ...string) {
		for _, code := range codes {
			cells, ok := rows[prefix+"."+code]
			if !ok {
				t.Errorf("%s: no row for `%s.%s`", d.name, prefix, code)
				continue
			}
			for i, lang := range []string{"en", "ja"} {
				if want, ok := words[lang][prefix+"."+code]; ok && cells[1+i] != want {
					t.Errorf("%s: %s.%s is %q there and %q in the desk", d.name, prefix, code, cells[1+i], want)
				}
			}
		}
	}
	check("state", stringsOf(casework.Statuses)...)
	check("disposition", stringsOf(mention.Dispositions)...)
	check("sentiment", stringsOf(mention.Sentiments)...)
	check("intent", stringsOf(mention.Intents)...)
	check("risk", stringsOf(mention.Categories)...)
	check("rung", stringsOf(mention.Rungs)...)
	check("role", stringsOf(identity.Roles)...)
	check("policy", stringsOf(escalation.Urgencies)...)
	check("origin", stringsOf(escalation.Origins)...)
	check("outcome", casework.Outcomes...)
}

func stringsOf[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = string(v)
	}
	return out
}

// TestTheBusIsDocumented compares docs/extend/bus.md with a bus as it is
// declared, and with what the services' source says to it.
func TestTheBusIsDocumented(t *testing.T) {
	d := documents(t)["docs/extend/bus.md"]
	log := slog.New(slog.DiscardHandler)
	srv, err := embedded.Start(t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	c, err := bus.Connect(t.Context(), bus.Options{InProcess: srv, Name: "docs", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Declare(t.Context()); err != nil {
		t.Fatal(err)
	}
	declared := declaredStreams(t, srv)
	documented := map[string][]string{}
	for _, cells := range d.rows() {
		if name := spans(cells[0]); len(name) == 1 && strings.ToUpper(name[0]) == name[0] && len(cells) > 1 {
			documented[name[0]] = spans(cells[1])
		}
	}
	for name, subjects := range declared {
		bucket := strings.TrimPrefix(strings.TrimPrefix(name, "KV_"), "OBJ_")
		got, ok := documented[bucket]
		delete(documented, bucket)
		if !ok {
			t.Errorf("%s: no row for %s", d.name, bucket)
		} else if bucket == name && !slices.Equal(got, subjects) {
			t.Errorf("%s: %s has the subjects %q there and %q on the bus", d.name, name, got, subjects)
		}
	}
	for name := range documented {
		t.Errorf("%s: %s is not on the bus", d.name, name)
	}
	said := regexp.MustCompile(`Durable:\s*"([a-z0-9-]+)"|bus\.Answer\(ctx, [a-z.]+, ("[a-z]+", "[a-z]+")|\.Tell\("([a-z.]+)"|RunOnce\(ctx, "([a-z]+)"`)
	err = filepath.WalkDir("..", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(name)
		for _, m := range said.FindAllStringSubmatch(string(raw), -1) {
			word := m[1]
			switch {
			case m[2] != "":
				word = "ctl." + strings.ReplaceAll(strings.ReplaceAll(m[2], `"`, ""), ", ", ".")
			case m[3] != "":
				word = "live." + m[3]
			case m[4] != "":
				word = m[4]
			}
			if !strings.Contains(d.raw, "`"+word+"`") {
				t.Errorf("%s does not name `%s`, which is in %s", d.name, word, name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func declaredStreams(t *testing.T, srv *embedded.Server) map[string][]string {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	list := js.ListStreams(t.Context())
	for info := range list.Info() {
		out[info.Config.Name] = info.Config.Subjects
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
