package bus

import (
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/mention"
)

// Codec turns messages of one type into bytes and back.
type Codec[T any] struct {
	// Encode appends the wire form of v to dst.
	Encode func(dst []byte, v *T) ([]byte, error)
	// Decode overwrites v. It does not keep data.
	Decode func(data []byte, v *T) error
}

// Topic is a stream whose messages all have one type.
type Topic[T any] struct {
	stream  string
	codec   Codec[T]
	subject func(*T) string
	id      func(*T) string
	seen    func(*T) time.Time
	// stored notes an event's sequence; prefix is cut from subjects to give
	// keys. Only journals have them.
	stored func(*T, uint64)
	prefix string
}

// Mentions is the hand-over from fetchers to the classifier. Imports travel on
// a subject of their own, so that they never delay a page.
var Mentions = Topic[mention.Mention]{
	stream: streamMentions,
	codec:  mentionCodec,
	subject: func(m *mention.Mention) string {
		if m.Intake == mention.Bulked {
			return "mention.bulk." + token(m.Platform)
		}
		return "mention.live." + token(m.Platform)
	},
	id:   (*mention.Mention).MessageID,
	seen: func(m *mention.Mention) time.Time { return m.SeenAt },
}

// Filters of Mentions.
const (
	LiveMentions = "mention.live.*"
	BulkMentions = "mention.bulk.*"
)

// Tagged is the archive of mentions with their verdicts.
var Tagged = Topic[mention.Tagged]{
	stream:  streamTagged,
	codec:   taggedCodec,
	subject: func(t *mention.Tagged) string { return "tagged." + token(t.Mention.Brand) },
	id: func(t *mention.Tagged) string {
		return t.Mention.MessageID() + "." + itoa(t.Verdict.Pass)
	},
	seen: func(t *mention.Tagged) time.Time { return t.Mention.SeenAt },
}

// Stream returns the name of the stream, under which positions are kept.
func (t Topic[T]) Stream() string { return t.stream }

// token makes s safe as one token of a subject.
func token(s string) string {
	if s == "" {
		return "_"
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '.', '*', '>', ' ', '\t', '\r', '\n', 0:
			return '_'
		}
		return r
	}, s)
}
