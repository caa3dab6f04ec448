package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/klauspost/compress/zstd"
)

// packer compresses as Jetstream does: each event a frame of its own, with the
// dictionary.
func packer(t testing.TB, options ...zstd.EOption) *zstd.Encoder {
	t.Helper()
	z, err := zstd.NewWriter(nil, append(options, zstd.WithWindowSize(1<<17), zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// packedJetstream sends frames to who asks for compression, and the event text to
// who doesn't. With refuse it refuses to compress.
func packedJetstream(t *testing.T, asked *[]string, refuse bool, text string, frames ...[]byte) string {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.Query().Get("compress"))
		if r.Header.Get("Sec-WebSocket-Extensions") != "" {
			http.Error(w, "choose one compression scheme", http.StatusBadRequest)
			return
		}
		packed := r.URL.Query().Get("compress") == "true"
		if packed && refuse {
			http.Error(w, "compress is not known", http.StatusBadRequest)
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		if packed {
			for _, f := range frames {
				conn.Write(r.Context(), websocket.MessageBinary, f)
			}
		} else {
			conn.Write(r.Context(), websocket.MessageText, []byte(text))
		}
		conn.Read(r.Context())
	})
	return strings.Replace(base, "http", "ws", 1)
}

func TestBlueskyReadsACompressedStream(t *testing.T) {
	z := packer(t, zstd.WithEncoderDict(JetstreamDictionary))
	one, two := []byte(jetstreamPost(10_000_000, "a", "お茶")), []byte(jetstreamPost(11_000_000, "b", strings.Repeat("tea ", 2000)))
	frame := z.EncodeAll(one, nil)
	var header zstd.Header
	if err := header.Decode(frame); err != nil || header.DictionaryID != 1612007021 || len(frame) > len(one)/2 {
		t.Fatalf("%d of %d bytes with dictionary %d, %v", len(frame), len(one), header.DictionaryID, err)
	}
	var asked []string
	src := openKind(t, "bluesky", "servers: ["+packedJetstream(t, &asked, false, string(one), frame, z.EncodeAll(two, nil))+"]", testDeps(t))
	items := take(t, src, "", 2)
	if items[0].Post.Text != "お茶" || !strings.HasPrefix(items[1].Post.Text, "tea tea") || asked[0] != "true" {
		t.Errorf("%+v, asked %q", items, asked)
	}
	// Who doesn't want it isn't sent it.
	src = openKind(t, "bluesky", "zstd: false\nservers: ["+packedJetstream(t, &asked, false, string(one), frame)+"]", testDeps(t))
	if items := take(t, src, "", 1); items[0].Post.Text != "お茶" || asked[1] != "" {
		t.Errorf("%+v, asked %q", items, asked)
	}
}

func TestBlueskyReadsServersThatDontCompress(t *testing.T) {
	text := jetstreamPost(10_000_000, "a", "tea")
	var asked []string
	src := openKind(t, "bluesky", "servers: ["+packedJetstream(t, &asked, true, text)+"]", testDeps(t))
	for range 2 {
		if items := take(t, src, "", 1); items[0].Post.Text != "tea" {
			t.Errorf("%+v", items)
		}
	}
	if got := strings.Join(asked, ","); got != "true,," {
		t.Errorf("asked %q", got)
	}
}

// TestBlueskySurvivesFramesThatCantBe: bombs, other dictionaries and noise end
// the connection, and the next one is uncompressed.
func TestBlueskySurvivesFramesThatCantBe(t *testing.T) {
	known := packer(t, zstd.WithEncoderDict(JetstreamDictionary))
	zeros := make([]byte, maxJetstreamEvent/2+1)
	bomb := known.EncodeAll(make([]byte, 64<<20), nil)
	var streamed bytes.Buffer // without its size in the header
	w, err := zstd.NewWriter(&streamed)
	if err != nil {
		t.Fatal(err)
	}
	for range 128 {
		w.Write(zeros)
	}
	w.Close()
	good := known.EncodeAll([]byte(jetstreamPost(10_000_000, "a", "x")), nil)
	id := binary.LittleEndian.AppendUint32(nil, 1612007021)
	other := bytes.Replace(good, id, []byte{id[0] + 1, id[1], id[2], id[3]}, 1)
	for name, frame := range map[string][]byte{
		"a bomb": bomb, "a bomb that doesn't say so": streamed.Bytes(),
		"a bomb of two parts": append(known.EncodeAll(zeros, nil), known.EncodeAll(zeros, nil)...),
		"another dictionary":  other, "noise": []byte("not a frame"), "cut": good[:len(good)-3],
	} {
		if len(frame) > 100_000 {
			t.Errorf("%s has %d bytes", name, len(frame))
		}
		text := jetstreamPost(10_000_000, "a", "tea")
		var asked []string
		src := openKind(t, "bluesky", "servers: ["+packedJetstream(t, &asked, false, text, frame)+"]", testDeps(t))
		if _, err := src.fetch(t.Context(), ""); !errors.Is(err, errZstd) {
			t.Errorf("%s: %v", name, err)
		}
		if items := take(t, src, "", 1); items[0].Post.Text != "tea" || asked[len(asked)-1] != "" {
			t.Errorf("%s: %+v, asked %q", name, items, asked)
		}
	}
}

func FuzzJetstreamFrame(f *testing.F) {
	z := packer(f, zstd.WithEncoderDict(JetstreamDictionary))
	f.Add(z.EncodeAll([]byte(jetstreamPost(10_000_000, "a", "お茶")), nil))
	f.Add(z.EncodeAll(make([]byte, 4<<20), nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if out, err := inflate(raw); err == nil && len(out) > maxJetstreamEvent {
			t.Errorf("%d bytes became %d", len(raw), len(out))
		}
	})
}

func BenchmarkJetstreamFrame(b *testing.B) {
	event := []byte(jetstreamPost(10_000_000, "a", strings.Repeat("tea and お茶 ", 10)))
	frame := packer(b, zstd.WithEncoderDict(JetstreamDictionary)).EncodeAll(event, nil)
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := inflate(frame); err != nil {
			b.Fatal(err)
		}
	}
}
