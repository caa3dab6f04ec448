package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Names of the streams. What each holds stands in docs/extend/bus.md.
const (
	streamMentions    = "MENTIONS"
	streamTagged      = "TAGGED"
	streamCases       = "CASES"
	streamEscalations = "ESCALATIONS"
	streamSettings    = "SETTINGS"
	streamArchive     = "ARCHIVE"
	streamDead        = "DEAD"
)

// schema is the version of the streams' layout, major.minor. A process never
// changes a stream that carries a higher one, and refuses to start on another
// major.
const (
	schemaKey   = "earshot.schema"
	schemaMajor = 1
	schemaMinor = 2
)

// streams are the declarations, complete: what isn't set here has the server's
// default. docs/adr/0002-streams.md has the reasons.
func (c *Conn) streams() []jetstream.StreamConfig {
	base := func(name, subjects, about string) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Subjects: []string{subjects}, Description: about,
			Storage: jetstream.FileStorage, Replicas: c.opts.Replicas,
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
			Duplicates: 10 * time.Minute, AllowDirect: true,
			Metadata: map[string]string{schemaKey: fmt.Sprintf("%d.%d", schemaMajor, schemaMinor)},
		}
	}
	mentions := base(streamMentions, "mention.*.*", "mentions waiting for their verdict")
	mentions.Retention = jetstream.WorkQueuePolicy
	mentions.Discard = jetstream.DiscardNew
	mentions.MaxBytes = c.opts.MaxBytes
	mentions.AllowDirect = false

	tagged := base(streamTagged, "tagged.*", "mentions with their verdicts: the archive")
	tagged.MaxAge = c.opts.Retention

	cases := base(streamCases, "case.*", "what happened to a mention since somebody touched it")
	cases.AllowAtomicPublish = true

	dead := base(streamDead, "dead.*", "messages that could not be handled")
	dead.MaxAge = 30 * 24 * time.Hour

	return []jetstream.StreamConfig{
		mentions, tagged, cases, dead,
		base(streamEscalations, "escalation.*", "what happened to an escalation"),
		base(streamSettings, "setting.*.*", "what people edit, with its history"),
		base(streamArchive, "archive.*.*", "cases closed long ago, one snapshot each"),
	}
}

// Declare creates the streams that are missing and updates those that an
// older Earshot declared. Every service calls it at its start, in any order.
func (c *Conn) Declare(ctx context.Context) error {
	for _, want := range c.streams() {
		if err := c.declare(ctx, want); err != nil {
			return fmt.Errorf("bus: declare stream %s: %w", want.Name, err)
		}
	}
	for _, b := range buckets {
		if _, err := c.bucket(ctx, b); err != nil {
			return fmt.Errorf("bus: declare bucket %s: %w", b.Bucket, err)
		}
	}
	if err := c.declareFiles(ctx); err != nil {
		return fmt.Errorf("bus: declare bucket %s: %w", filesBucket, err)
	}
	return nil
}

func (c *Conn) declare(ctx context.Context, want jetstream.StreamConfig) error {
	for {
		s, err := c.js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			_, err = c.js.CreateStream(ctx, want)
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				continue // another process was first; compare with what it made
			}
			return err
		}
		if err != nil {
			return err
		}
		have := s.CachedInfo().Config
		newer, err := compareSchema(have.Metadata[schemaKey])
		if err != nil || newer {
			return err
		}
		for k, v := range have.Metadata {
			if _, ok := want.Metadata[k]; !ok {
				want.Metadata[k] = v
			}
		}
		_, err = c.js.UpdateStream(ctx, want)
		return err
	}
}

// compareSchema tells whether a stream was declared by a newer Earshot. An
// unknown major is an error.
func compareSchema(have string) (newer bool, err error) {
	if have == "" {
		return false, nil
	}
	majorText, minorText, _ := strings.Cut(have, ".")
	major, err1 := strconv.Atoi(majorText)
	minor, err2 := strconv.Atoi(minorText)
	if err := errors.Join(err1, err2); err != nil {
		return false, fmt.Errorf("schema %q cannot be read: %w", have, err)
	}
	if major != schemaMajor {
		return false, fmt.Errorf("it has schema %s, this program knows %d.x: run the matching version of Earshot", have, schemaMajor)
	}
	return minor > schemaMinor, nil
}
