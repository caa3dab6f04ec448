package desk

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/text"
)

// maxFiles is how many files a note takes.
const maxFiles = 5

// uploads are the files of a form that have a content.
func (c *call) uploads(field string) []*multipart.FileHeader {
	if c.r.MultipartForm == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.r.MultipartForm.File[field]), func(h *multipart.FileHeader) bool { return h.Size == 0 })
}

// keepFiles stores the files of a form and returns them as a post's media.
func (c *call) keepFiles(field string) ([]mention.Media, error) {
	var media []mention.Media
	for _, h := range c.uploads(field) {
		f, err := h.Open()
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		address, err := c.Bus.PutFile(c.ctx, content)
		if err != nil {
			return nil, err
		}
		media = append(media, mention.Media{
			Type: mediaType(http.DetectContentType(content)), URL: address,
			Alt: text.Valid(path.Base(strings.ReplaceAll(h.Filename, "\\", "/"))),
		})
	}
	return media, nil
}

func mediaType(kind string) mention.MediaType {
	switch {
	case slices.Contains(pictures, kind):
		return mention.Image
	case strings.HasPrefix(kind, "video/"):
		return mention.Video
	case strings.HasPrefix(kind, "audio/"):
		return mention.Audio
	}
	return mention.Other
}

// sandboxMedia is where posts of the sandbox say that their pictures are.
const sandboxMedia = "/sandbox/media/"

// sandboxPicture hands out one of the demo's own drawings.
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

// file hands out an attachment: pictures to be seen, everything else to be
// saved, so that nothing from outside is ever shown as a page of ours.
func (c *call) file(m mention.Media) error {
	content, err := c.Bus.File(c.ctx, m.URL)
	if errors.Is(err, bus.ErrNotFound) {
		return errNotFound
	}
	if err != nil {
		return err
	}
	kind := http.DetectContentType(content)
	h := c.w.Header()
	if !slices.Contains(pictures, kind) {
		kind = "application/octet-stream"
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": m.Alt}))
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, max-age=86400, immutable")
	_, err = c.w.Write(content)
	return err
}
