package bus

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// filesBucket holds attachments of notes.
const filesBucket = "FILES"

// MaxFile is the largest attachment, in bytes.
const MaxFile = 10 << 20

// FileScheme marks the address of an attachment, as mentions and notes carry it.
const FileScheme = "file:"

// PutFile stores an attachment and returns its address.
func (c *Conn) PutFile(ctx context.Context, content []byte) (address string, err error) {
	if len(content) > MaxFile {
		return "", fmt.Errorf("bus: file of %d bytes: at most %d", len(content), MaxFile)
	}
	store, err := c.js.ObjectStore(ctx, filesBucket)
	if err != nil {
		return "", fmt.Errorf("bus: files: %w", err)
	}
	key := strings.ToLower(rand.Text())
	if _, err := store.Put(ctx, jetstream.ObjectMeta{Name: key}, bytes.NewReader(content)); err != nil {
		return "", fmt.Errorf("bus: files: %w", translate(err))
	}
	return FileScheme + key, nil
}

// File returns the attachment at address, or [ErrNotFound].
func (c *Conn) File(ctx context.Context, address string) ([]byte, error) {
	key, ok := strings.CutPrefix(address, FileScheme)
	if !ok {
		return nil, ErrNotFound
	}
	store, err := c.js.ObjectStore(ctx, filesBucket)
	if err != nil {
		return nil, fmt.Errorf("bus: files: %w", err)
	}
	obj, err := store.Get(ctx, key)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("bus: files: %w", err)
	}
	defer obj.Close()
	return io.ReadAll(io.LimitReader(obj, MaxFile+1))
}

// EraseFile removes an attachment and overwrites its bytes on disk. One that is
// gone already is no error, nor is an address of something else.
func (c *Conn) EraseFile(ctx context.Context, address string) error {
	key, ok := strings.CutPrefix(address, FileScheme)
	if !ok {
		return nil
	}
	store, err := c.js.ObjectStore(ctx, filesBucket)
	if err != nil {
		return fmt.Errorf("bus: files: %w", err)
	}
	info, err := store.GetInfo(ctx, key)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("bus: files: %w", err)
	}
	stream := "OBJ_" + filesBucket
	s, err := c.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("bus: files: %w", err)
	}
	// The store's own delete purges: it leaves the bytes in their blocks, and
	// wants a right that nobody should have.
	var seqs []uint64
	for _, subject := range []string{
		"$O." + filesBucket + ".C." + info.NUID,
		"$O." + filesBucket + ".M." + base64.URLEncoding.EncodeToString([]byte(key)),
	} {
		for next := uint64(1); ; {
			m, err := s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(subject))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				break
			}
			if err != nil {
				return fmt.Errorf("bus: files: %w", err)
			}
			seqs = append(seqs, m.Sequence)
			next = m.Sequence + 1
		}
	}
	return c.eraseMessages(ctx, stream, seqs...)
}

func (c *Conn) declareFiles(ctx context.Context) error {
	_, err := c.js.ObjectStore(ctx, filesBucket)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return err
	}
	_, err = c.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket: filesBucket, Description: "attachments of notes", Storage: jetstream.FileStorage, Replicas: c.opts.Replicas,
	})
	if errors.Is(err, jetstream.ErrBucketExists) {
		return nil
	}
	return err
}
