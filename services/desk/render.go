package desk

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"strings"
	"sync"
)

//go:embed templates/*.html
var templateFiles embed.FS

// renderer holds the templates of views, each in each language from when it is
// first shown: all of them together would take 30 MB.
type renderer struct {
	words  map[string]*words
	assets *assets
	// folder, if set, holds the templates on disk, read anew for each page.
	folder string

	mu       sync.Mutex
	partials map[string]*template.Template // by language
	views    map[viewIn]*template.Template
}

// viewIn is a view in a language.
type viewIn struct{ lang, view string }

// newRenderer reads the texts and what pages load. folder is where to read
// templates from while developing; empty means those built in.
func newRenderer(folder string) (*renderer, error) {
	words, err := loadWords()
	if err != nil {
		return nil, err
	}
	assets, err := loadAssets()
	if err != nil {
		return nil, err
	}
	r := &renderer{words: words, assets: assets, folder: folder, partials: map[string]*template.Template{}, views: map[viewIn]*template.Template{}}
	for lang := range words {
		if r.partials[lang], err = r.parse(lang); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *renderer) files() (fs.FS, error) {
	if r.folder != "" {
		return os.DirFS(r.folder), nil
	}
	return fs.Sub(templateFiles, "templates")
}

// parse reads the partials, whose names start with _.
func (r *renderer) parse(lang string) (*template.Template, error) {
	files, err := r.files()
	if err != nil {
		return nil, fmt.Errorf("desk: templates: %w", err)
	}
	partials, err := template.New("").Funcs(r.words[lang].funcs(r.assets)).Option("missingkey=error").ParseFS(files, "_*.html")
	if err != nil {
		return nil, fmt.Errorf("desk: templates: %w", err)
	}
	return partials, nil
}

// view returns the templates of a view: its own, added to a copy of the
// partials.
func (r *renderer) view(v viewIn) (*template.Template, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	partials, view := r.partials[v.lang], r.views[v]
	if r.folder != "" {
		var err error
		if partials, err = r.parse(v.lang); err != nil {
			return nil, err
		}
		view = nil
	}
	if view != nil {
		return view, nil
	}
	files, err := r.files()
	if err != nil {
		return nil, fmt.Errorf("desk: templates: %w", err)
	}
	if partials == nil || strings.HasPrefix(v.view, "_") {
		return nil, fmt.Errorf("desk: no view %q in %q", v.view, v.lang)
	}
	if view, err = partials.Clone(); err == nil {
		view, err = view.ParseFS(files, v.view+".html")
	}
	if err != nil {
		return nil, fmt.Errorf("desk: template %s: %w", v.view, err)
	}
	r.views[v] = view
	return view, nil
}

// render executes one block of a view ("page" for all of it) into memory, so
// that a page is sent whole or not at all.
func (r *renderer) render(lang, view, block string, data any) ([]byte, error) {
	tmpl, err := r.view(viewIn{lang, view})
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if err := tmpl.ExecuteTemplate(&buf, block, data); err != nil {
		return nil, fmt.Errorf("desk: render %s: %w", view, err)
	}
	return buf.Bytes(), nil
}

// contentPolicy allows nothing but our own files: no inline script or style,
// no frames, no other origin. Pictures come through our proxy.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
