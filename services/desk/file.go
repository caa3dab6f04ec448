package desk

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/text"
)

const (
	// maxFile is the largest attachment, maxUpload all of one form's together.
	maxFile   = 10 << 20
	maxUpload = 48 << 20
	// maxFiles is how many attachments one note has.
	maxFiles = 8
)

// pictures are the types that are shown; SVG can carry script and is not one.
var pictures = []string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"}

// typeOf is the type of a file by its content, whatever its name says.
func typeOf(content []byte) string {
	if len(content) > 12 && string(content[4:12]) == "ftypavif" {
		return "image/avif"
	}
	kind, _, _ := strings.Cut(http.DetectContentType(content), ";")
	return kind
}

// allowed tells whether files of a type are taken: pictures, documents and
// recordings.
func allowed(kind string) bool {
	return slices.Contains(pictures, kind) || kind == "application/pdf" || strings.HasPrefix(kind, "audio/") || strings.HasPrefix(kind, "video/") || kind == "application/ogg"
}

// uploads reads the attachments of a form. Its error is an *inputError that
// names the file.
func (c *call) uploads(name string) ([]upload, error) {
	if c.r.MultipartForm == nil {
		return nil, nil
	}
	heads := slices.DeleteFunc(slices.Clone(c.r.MultipartForm.File[name]), func(h *multipart.FileHeader) bool { return h.Size == 0 })
	if len(heads) > maxFiles {
		return nil, &inputError{c.l.say("file.many", maxFiles)}
	}
	var out []upload
	for _, h := range heads {
		label := text.Valid(path.Base(strings.ReplaceAll(h.Filename, `\`, "/")))
		if h.Size > maxFile {
			return nil, &inputError{c.l.say("file.large", label, maxFile>>20)}
		}
		f, err := h.Open()
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(f)
		_ = f.Close()
		if err != nil {
			return nil, err
		}
		kind := typeOf(content)
		if !allowed(kind) {
			return nil, &inputError{c.l.say("file.type", label)}
		}
		out = append(out, upload{name: shorten(label, 120), kind: kind, content: content})
	}
	return out, nil
}

// upload is an attachment that was just sent.
type upload struct {
	name, kind string
	content    []byte
}

// keep stores uploads on the bus.
func (c *call) keep(uploads []upload) ([]casework.File, error) {
	var out []casework.File
	for _, u := range uploads {
		address, err := c.Bus.PutFile(c.ctx, u.content)
		if err != nil {
			return nil, err
		}
		out = append(out, casework.File{Key: address, Name: u.name, Type: u.kind, Size: int64(len(u.content))})
	}
	return out, nil
}

// mediaOf is an attachment as media of a contact note.
func mediaOf(f casework.File) mention.Media {
	kind, _, _ := strings.Cut(f.Type, "/")
	t := mention.Other
	switch {
	case slices.Contains(pictures, f.Type):
		t = mention.Image
	case kind == "audio":
		t = mention.Audio
	case kind == "video":
		t = mention.Video
	}
	return mention.Media{Type: t, URL: f.Key, Alt: f.Name}
}

// filePath is where an attachment of a case can be had; empty for an address
// of something else.
func filePath(id mention.ID, address string) string {
	key, ok := strings.CutPrefix(address, bus.FileScheme)
	if !ok {
		return ""
	}
	return "/cases/" + string(id) + "/files/" + key
}

// file hands out an attachment that the case names. Only pictures are shown;
// everything else is saved, so that no browser runs what strangers sent.
func (c *call) file() error {
	s, err := c.Cases.Get(c.ctx, c.viewer, mention.ID(c.r.PathValue("id")))
	if err != nil {
		return err
	}
	address, name := bus.FileScheme+c.r.PathValue("key"), ""
	for _, m := range s.Mention.Media {
		if m.URL == address {
			name = m.Alt
		}
	}
	for _, n := range s.Notes {
		for _, f := range n.Files {
			if f.Key == address {
				name = f.Name
			}
		}
	}
	if name == "" {
		return errNotFound
	}
	content, err := c.Bus.File(c.ctx, address)
	if err != nil {
		return err
	}
	return c.hand(content, name)
}

// hand sends a file from outside: a picture to be seen, anything else to be
// saved.
func (c *call) hand(content []byte, name string) error {
	kind := typeOf(content)
	h := c.w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, max-age=86400, immutable")
	if slices.Contains(pictures, kind) {
		h.Set("Content-Type", kind)
	} else {
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	_, err := c.w.Write(content)
	return err
}

// sandboxMedia is where posts of the sandbox say that their pictures are.
const sandboxMedia = "/sandbox/media/"

// sandboxPicture hands out one of the demo's own drawings, the only SVG there
// is: they are ours.
func (c *call) sandboxPicture(name string) error {
	root, err := os.OpenRoot(filepath.Join(c.sandboxFolder(), "media"))
	if err != nil {
		return errNotFound
	}
	defer root.Close()
	content, err := root.ReadFile(name)
	if err != nil {
		return errNotFound
	}
	h := c.w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	h.Set("Cache-Control", "private, max-age=86400, immutable")
	_, err = c.w.Write(content)
	return err
}
