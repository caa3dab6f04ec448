package desk

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path"
	"strings"
)

//go:embed templates/*.html
var templateFiles embed.FS

// renderer holds every view's templates in every language.
type renderer struct {
	words  map[string]*words
	assets *assets
	views  map[string]map[string]*template.Template // language, then view
	// folder, if set, holds the templates on disk, read anew for each page.
	folder string
}

// newRenderer parses all templates. folder is where to read them from while
// developing; empty means those built in.
func newRenderer(folder string) (*renderer, error) {
	words, err := loadWords()
	if err != nil {
		return nil, err
	}
	assets, err := loadAssets()
	if err != nil {
		return nil, err
	}
	r := &renderer{words: words, assets: assets, views: map[string]map[string]*template.Template{}, folder: folder}
	for lang := range words {
		if r.views[lang], err = r.parse(lang); err != nil {
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

// parse reads the partials, whose names start with _, and adds each view to a
// copy of them.
func (r *renderer) parse(lang string) (map[string]*template.Template, error) {
	files, err := r.files()
	if err != nil {
		return nil, fmt.Errorf("desk: templates: %w", err)
	}
	base := template.New("").Funcs(r.words[lang].funcs(r.assets)).Option("missingkey=error")
	if base, err = base.ParseFS(files, "_*.html"); err != nil {
		return nil, fmt.Errorf("desk: templates: %w", err)
	}
	names, err := fs.Glob(files, "[a-z]*.html")
	if err != nil {
		return nil, fmt.Errorf("desk: templates: %w", err)
	}
	views := make(map[string]*template.Template, len(names))
	for _, name := range names {
		view, err := base.Clone()
		if err != nil {
			return nil, fmt.Errorf("desk: template %s: %w", name, err)
		}
		if view, err = view.ParseFS(files, name); err != nil {
			return nil, fmt.Errorf("desk: template %s: %w", name, err)
		}
		views[strings.TrimSuffix(path.Base(name), ".html")] = view
	}
	return views, nil
}

// render executes one block of a view ("page" for all of it) into memory, so
// that a page is sent whole or not at all.
func (r *renderer) render(lang, view, block string, data any) ([]byte, error) {
	views := r.views[lang]
	if r.folder != "" {
		var err error
		if views, err = r.parse(lang); err != nil {
			return nil, err
		}
	}
	tmpl, ok := views[view]
	if !ok {
		return nil, fmt.Errorf("desk: no view %q in %q", view, lang)
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
