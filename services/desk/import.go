package desk

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/search"
	"github.com/earshot/earshot/pkg/settings"
	"github.com/earshot/earshot/pkg/source"
	"github.com/earshot/earshot/pkg/text"
)

const (
	// importFolder is within the data folder, of this process alone.
	importFolder = "imports"
	// importLife is how long a file that was uploaded is kept, if it isn't
	// thrown away before.
	importLife = 24 * time.Hour
	// importBeat is how often a running import tells how far it is. One that has
	// told nothing for ten of these has died with its process.
	importBeat = time.Second
	// importBatch is how many mentions are handed over together.
	importBatch = 200
	// maxProblems is how many refused lines are shown, maxPreview how many posts.
	maxProblems = 50
	maxPreview  = 5
)

// importJob is a file that somebody wants to bring in.
type importJob struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"` // of the file
	By       string    `json:"by"`
	Lang     string    `json:"lang"` // what is wrong is told in it
	Made     time.Time `json:"made"`
	Size     int64     `json:"size"`
	Format   string    `json:"format"`
	Brand    string    `json:"brand,omitempty"` // empty: the queries decide
	Platform string    `json:"platform,omitempty"`
	Zone     string    `json:"zone"`
	Columns  []string  `json:"columns,omitempty"` // of a CSV file

	Status string    `json:"status,omitempty"` // "", "running", "done", "failed"
	Beat   time.Time `json:"beat,omitzero"`
	Read   int64     `json:"read,omitempty"`
	importFound
}

// importFound is what is in a file, or became of it.
type importFound struct {
	Accepted  int             `json:"accepted,omitempty"`
	Duplicate int             `json:"duplicate,omitempty"` // is here already
	Unmatched int             `json:"unmatched,omitempty"` // about no brand
	Refused   int             `json:"refused,omitempty"`
	Problems  []importProblem `json:"problems,omitempty"`
	Error     string          `json:"error,omitempty"` // what ended it

	preview []mention.Mention
}

type importProblem struct {
	Line int    `json:"line"`
	Why  string `json:"why"`
}

// dead tells of an import whose process has ended before it.
func (j *importJob) dead(now time.Time) bool {
	return j.Status == "running" && now.Sub(j.Beat) > 10*importBeat
}

var importID = regexp.MustCompile(`^[a-z2-7]{16}$`)

func (d *Desk) importRoot() (*os.Root, error) {
	if err := os.MkdirAll(path.Join(d.Data, importFolder), 0o700); err != nil {
		return nil, err
	}
	return os.OpenRoot(path.Join(d.Data, importFolder))
}

func (d *Desk) saveImport(j *importJob) error {
	root, err := d.importRoot()
	if err != nil {
		return err
	}
	defer root.Close()
	raw, err := json.Marshal(j)
	if err != nil {
		return err
	}
	if err := root.WriteFile(j.ID+".new", raw, 0o600); err != nil {
		return err
	}
	return root.Rename(j.ID+".new", j.ID+".json")
}

// imports are those that are here, the newest first. What is too old is thrown
// away.
func (d *Desk) imports() ([]importJob, error) {
	root, err := d.importRoot()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	files, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var out []importJob
	for _, f := range files {
		var j importJob
		id, ok := strings.CutSuffix(f.Name(), ".json")
		raw, err := fs.ReadFile(root.FS(), f.Name())
		if !ok || err != nil || json.Unmarshal(raw, &j) != nil || j.ID != id {
			continue
		}
		if d.Now().Sub(j.Made) > importLife {
			d.dropImport(root, id)
			continue
		}
		out = append(out, j)
	}
	slices.SortFunc(out, func(a, b importJob) int { return b.Made.Compare(a.Made) })
	return out, nil
}

func (d *Desk) dropImport(root *os.Root, id string) {
	for _, name := range []string{id + ".json", id + ".data"} {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.Log.Warn("an uploaded file is not thrown away", "file", name, "error", err)
		}
	}
}

func (c *call) wantedImport() (*importJob, error) {
	id := c.r.PathValue("id")
	if !importID.MatchString(id) {
		return nil, errNotFound
	}
	all, err := c.imports()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(j importJob) bool { return j.ID == id })
	if i < 0 || all[i].By != c.viewer.Actor() && !c.viewer.Can(identity.Manage, identity.AllBrands) {
		return nil, errNotFound
	}
	return &all[i], nil
}

// newImport is the page to upload a file.
func (c *call) newImport() error { return c.showImports(http.StatusOK, nil) }

func (c *call) showImports(status int, wrong map[string]string) error {
	say := c.l.say
	all, err := c.imports()
	if err != nil {
		return err
	}
	v := &importView{frame: c.frame(say("import.title"), "/import"), Form: formView{Action: "/import", Button: say("import.look"), Upload: true}}
	v.Form.frame = v.frame
	fields := []field{{Name: "file", Label: say("import.file"), Hint: say("import.file_hint"), Type: "file", Required: true, Error: wrong["file"]}}
	v.Form.Groups = []fieldGroup{{Fields: append(fields, c.importFields(&importJob{Brand: c.form("brand"), Platform: c.form("platform"), Zone: cmp.Or(c.form("zone"), c.l.zone.String())}, wrong)...)}}
	for _, j := range all {
		if j.By == c.viewer.Actor() {
			v.Past = append(v.Past, link{fmt.Sprintf("%s · %s", j.Name, say("import.state_"+cmp.Or(j.Status, "ready"))), "/import/" + j.ID})
		}
	}
	return c.show(status, "import", "page", v)
}

// importFields are what the file itself does not say.
func (c *call) importFields(j *importJob, wrong map[string]string) []field {
	say := c.l.say
	brand := field{Name: "brand", Label: say("import.brand"), Hint: say("import.brand_hint"), Type: "select", Error: wrong["brand"],
		Options: append([]option{{Label: say("import.by_query"), On: j.Brand == ""}}, c.brandOptions(identity.Intake, j.Brand)...)}
	return []field{
		brand,
		{Name: "platform", Label: say("import.platform"), Hint: say("import.platform_hint"), Value: j.Platform, Error: wrong["platform"], Placeholder: "web"},
		{Name: "zone", Label: say("import.zone"), Hint: say("import.zone_hint"), Value: j.Zone, Required: true, Error: wrong["zone"]},
	}
}

var platformWord = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// readImport takes over the fields of a form and returns what is wrong.
func (c *call) readImport(j *importJob) map[string]string {
	wrong := map[string]string{}
	j.Brand, j.Platform, j.Zone = c.form("brand"), strings.ToLower(c.form("platform")), c.form("zone")
	if j.Brand != "" && !slices.ContainsFunc(c.brandOptions(identity.Intake), func(o option) bool { return o.Value == j.Brand }) {
		wrong["brand"] = c.l.say("form.required")
	}
	if j.Platform != "" && !platformWord.MatchString(j.Platform) {
		wrong["platform"] = c.l.say("import.platform_bad")
	}
	if _, err := time.LoadLocation(j.Zone); err != nil || j.Zone == "" {
		wrong["zone"] = c.l.say("import.zone_bad")
	}
	return wrong
}

// uploadImport keeps the file and leads to what is in it.
func (c *call) uploadImport() error {
	j := &importJob{ID: newID(), By: c.viewer.Actor(), Lang: c.l.lang, Made: c.l.now.UTC()}
	wrong := c.readImport(j)
	file, head, err := c.r.FormFile("file")
	switch {
	case err != nil:
		wrong["file"] = c.l.say("form.required")
	default:
		defer file.Close()
		j.Name, j.Size = text.Valid(path.Base(strings.ReplaceAll(head.Filename, `\`, "/"))), head.Size
		if j.Format = source.FormatOf(j.Name); j.Format == "" {
			wrong["file"] = c.l.say("import.format_bad")
		}
	}
	if len(wrong) > 0 {
		return c.showImports(http.StatusUnprocessableEntity, wrong)
	}
	root, err := c.importRoot()
	if err != nil {
		return err
	}
	defer root.Close()
	kept, err := root.OpenFile(j.ID+".data", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(kept, file)
	if err = errors.Join(err, kept.Close()); err != nil {
		return err
	}
	if j.Format == "csv" {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if columns, err := source.Columns(file); err == nil {
			for _, col := range columns {
				j.Columns = append(j.Columns, col.Field)
			}
		}
	}
	if err := c.saveImport(j); err != nil {
		return err
	}
	return c.back("/import/" + j.ID)
}

// fileImport says what an import would do, does, or did.
func (c *call) fileImport() error {
	j, err := c.wantedImport()
	if err != nil {
		return err
	}
	return c.importPage(http.StatusOK, j, nil)
}

func (c *call) importPage(status int, j *importJob, wrong map[string]string) error {
	say := c.l.say
	at := "/import/" + j.ID
	v := &importView{frame: c.frame(say("import.title")+" · "+j.Name, at), Job: j, Back: link{say("import.title"), "/import"}, Status: cmp.Or(j.Status, "ready")}
	switch {
	case j.dead(c.l.now):
		v.Status, v.Run, v.RunLabel = "dead", at+"/run", say("import.go_on")
	case j.Status == "running":
		c.w.Header().Set("Refresh", "2")
		if v.Share = 100; j.Size > 0 {
			v.Share = int(min(100, 100*j.Read/j.Size))
		}
	case j.Status == "":
		ctx, cancel := c.within(time.Minute)
		defer cancel()
		found := c.importing(ctx, j, c.viewer, false, nil)
		j.importFound = found
		for i := range found.preview {
			m := &found.preview[i]
			v.Preview = append(v.Preview, importPreview{
				At: c.l.at(m.PublishedAt), Brand: c.brandName(m.Brand), Author: authorOf(m.Author.Handle, m.Author.Name), Text: text.Cut(m.Content(), 160), Platform: c.platform(m.Platform),
			})
		}
		v.Form = formView{frame: v.frame, Action: at, Button: say("import.again"), Groups: []fieldGroup{{Fields: c.importFields(j, wrong)}}}
		if columns := c.importColumns(j); len(columns) > 0 {
			v.Form.Groups = append(v.Form.Groups, fieldGroup{Label: say("import.columns"), Hint: say("import.columns_hint"), Fields: columns})
		}
		if found.Accepted > 0 && found.Error == "" {
			v.Run, v.RunLabel = at+"/run", say("import.run", number(found.Accepted))
		}
	}
	v.Drop = at + "/drop"
	return c.show(status, "import", "page", v)
}

// importColumns asks what each column is, with what was guessed.
func (c *call) importColumns(j *importJob) []field {
	if j.Format != "csv" {
		return nil
	}
	file, err := c.openImport(j)
	if err != nil {
		return nil
	}
	defer file.Close()
	columns, err := source.Columns(file)
	if err != nil {
		return nil
	}
	var out []field
	for i, col := range columns {
		field := field{Name: fmt.Sprintf("column.%d", i), Label: cmp.Or(col.Heading, itoa(uint64(i+1))), Hint: strings.Join(col.Samples, " / "), Type: "select", Plain: true}
		is := col.Field
		if i < len(j.Columns) {
			is = j.Columns[i]
		}
		field.Options = append(field.Options, option{Label: c.l.say("import.column_none"), On: is == ""})
		for _, f := range source.ColumnFields {
			field.Options = append(field.Options, option{Value: f, Label: c.l.say("import.column_" + strings.ReplaceAll(f, ".", "_")), On: f == is})
		}
		out = append(out, field)
	}
	return out
}

func (d *Desk) openImport(j *importJob) (io.ReadCloser, error) {
	root, err := d.importRoot()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(j.ID + ".data")
}

// changeImport takes over what the person says of the file.
func (c *call) changeImport() error {
	j, err := c.wantedImport()
	if err != nil {
		return err
	}
	if j.Status != "" {
		return c.back("/import/" + j.ID)
	}
	wrong := c.readImport(j)
	for i := range j.Columns {
		if f := c.form(fmt.Sprintf("column.%d", i)); f == "" || slices.Contains(source.ColumnFields, f) {
			j.Columns[i] = f
		}
	}
	if len(wrong) > 0 {
		return c.importPage(http.StatusUnprocessableEntity, j, wrong)
	}
	if err := c.saveImport(j); err != nil {
		return err
	}
	return c.back("/import/" + j.ID)
}

func (c *call) dropImported() error {
	j, err := c.wantedImport()
	if err != nil {
		return err
	}
	if j.Status == "running" && !j.dead(c.l.now) {
		return c.back("/import/" + j.ID)
	}
	root, err := c.importRoot()
	if err != nil {
		return err
	}
	defer root.Close()
	c.Desk.dropImport(root, j.ID)
	return c.back("/import")
}

// runImport begins the import, or goes on with one that has died. It runs on
// when the page is left.
func (c *call) runImport() error {
	j, err := c.wantedImport()
	if err != nil {
		return err
	}
	if j.Status != "" && !j.dead(c.l.now) {
		return c.back("/import/" + j.ID)
	}
	j.Status, j.Beat, j.Read, j.importFound = "running", c.l.now.UTC(), 0, importFound{}
	if err := c.saveImport(j); err != nil {
		return err
	}
	go c.Desk.bringIn(context.WithoutCancel(c.ctx), *j, c.viewer)
	return c.back("/import/" + j.ID)
}

func (d *Desk) bringIn(ctx context.Context, j importJob, v identity.Viewer) {
	found := d.importing(ctx, &j, v, true, func(read int64, so importFound) {
		j.Beat, j.Read, j.importFound = d.Now().UTC(), read, so
		if err := d.saveImport(&j); err != nil {
			d.Log.Warn("how far an import is can't be told", "import", j.ID, "error", err)
		}
	})
	j.Status, j.Beat, j.importFound = "done", d.Now().UTC(), found
	if found.Error != "" {
		j.Status = "failed"
	}
	if err := d.saveImport(&j); err != nil {
		d.Log.Error("how an import ended can't be told", "import", j.ID, "error", err)
	}
	d.Log.Info("import ended", "import", j.ID, "by", j.By, "status", j.Status, "accepted", found.Accepted, "duplicate", found.Duplicate, "unmatched", found.Unmatched, "refused", found.Refused)
}

// importing goes through a file and says what is in it; for real it hands it
// over, and tells now and then how far it is. What the index has already, with
// the same words, is a duplicate.
func (d *Desk) importing(ctx context.Context, j *importJob, v identity.Viewer, forReal bool, tell func(int64, importFound)) (found importFound) {
	w := d.pages.words[cmp.Or(j.Lang, langs[0])]
	file, err := d.openImport(j)
	if err != nil {
		found.Error = w.say("import.gone")
		return found
	}
	defer file.Close()
	counted := &countedReader{r: file}
	zone, err := time.LoadLocation(j.Zone)
	if err != nil {
		zone = time.UTC
	}
	im := source.Import{Format: j.Format, Platform: j.Platform, Location: zone, Columns: j.Columns, Now: d.Now().UTC()}
	told := time.Now()
	var batch []*mention.Mention
	flush := func() error {
		fresh, err := d.newOnes(ctx, batch)
		if err == nil && forReal {
			err = d.handOver(ctx, fresh)
		}
		if err != nil {
			return err
		}
		found.Duplicate += len(batch) - len(fresh)
		found.Accepted += len(fresh)
		for _, m := range fresh[:min(len(fresh), maxPreview-len(found.preview))] {
			found.preview = append(found.preview, *m)
		}
		batch = batch[:0]
		if tell != nil && time.Since(told) >= importBeat {
			told = time.Now()
			tell(counted.n.Load(), found)
		}
		return nil
	}
	for got, err := range im.Read(counted) {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		if err == nil && got.Err != nil {
			err = got.Err
		}
		if bad, ok := errors.AsType[*source.LineError](err); ok {
			if found.Refused++; len(found.Problems) < maxProblems {
				found.Problems = append(found.Problems, importProblem{bad.Line, w.why(bad.Err)})
			}
			continue
		}
		if err != nil {
			found.Error = w.why(err)
			break
		}
		about := d.importedAs(&got, j.Brand, v)
		if len(about) == 0 {
			found.Unmatched++
		}
		if batch = append(batch, about...); len(batch) >= importBatch {
			if err := flush(); err != nil {
				found.Error = w.stuck(err)
				return found
			}
		}
	}
	if err := flush(); err != nil && found.Error == "" {
		found.Error = w.stuck(err)
	}
	return found
}

// importedAs are the mentions in a post that v may bring in.
func (d *Desk) importedAs(got *source.Received, brand string, v identity.Viewer) []*mention.Mention {
	got.Post.Source = "import"
	brands := got.Brands
	if brand != "" {
		brands = []string{brand}
	}
	return slices.DeleteFunc(d.Settings.Mentions(&got.Post, brands...), func(m *mention.Mention) bool {
		_, known := settings.Brands.Get(d.Settings, m.Brand)
		return !known || !v.Can(identity.Intake, m.Brand)
	})
}

// newOnes are the mentions that the index doesn't have with the same words, and
// that are not twice in the batch.
func (d *Desk) newOnes(ctx context.Context, batch []*mention.Mention) ([]*mention.Mention, error) {
	ids := make([]mention.ID, len(batch))
	for i, m := range batch {
		ids[i] = m.ID
	}
	docs, err := d.Index.Get(ctx, search.SeesAll(), ids...)
	if err != nil {
		return nil, err
	}
	have := map[mention.ID]string{}
	for i := range docs {
		have[docs[i].ID] = docs[i].Title + "\n" + docs[i].Text
	}
	var out []*mention.Mention
	for _, m := range batch {
		words := m.Title + "\n" + m.Text
		if was, ok := have[m.ID]; ok && was == words && !m.Deleted {
			continue
		}
		have[m.ID] = words
		out = append(out, m)
	}
	return out, nil
}

// handOver publishes mentions; while the bus is full it waits, since an import is
// never faster than the classifier.
func (d *Desk) handOver(ctx context.Context, batch []*mention.Mention) error {
	for {
		_, err := bus.Mentions.PublishNew(ctx, d.Bus, batch...)
		if !errors.Is(err, bus.ErrFull) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

type countedReader struct {
	r io.Reader
	n atomic.Int64
}

func (c *countedReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}
