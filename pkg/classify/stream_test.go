package classify

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestStreamKeepsTheOrderAndGoesOnAfterBadLines(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	const n = 2000
	for i := range n {
		switch i % 10 {
		case 3:
			fmt.Fprintln(&in, "not json")
		case 7:
			fmt.Fprintln(&in)
		default:
			fmt.Fprintf(&in, `{"id":"%d","text":"返金しないならSNSで晒すぞ"}`+"\n", i)
		}
	}
	var out bytes.Buffer
	var last Progress
	p, err := shared.Stream(t.Context(), strings.NewReader(in.String()), &out, StreamOptions{Workers: 4, Progress: func(p Progress) { last = p }})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Progress{Lines: n * 9 / 10, Errors: n / 10, Bytes: int64(in.Len())}); p != want || last != want {
		t.Errorf("progress %+v, last reported %+v, want %+v", p, last, want)
	}
	lines := bufio.NewScanner(&out)
	for i := range n {
		if i%10 == 7 {
			continue
		}
		if !lines.Scan() {
			t.Fatalf("output ends before record %d", i)
		}
		var got struct {
			ID    string
			Line  int
			Error string
			Page  bool
		}
		if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if i%10 == 3 {
			if got.Line != i+1 || got.Error == "" {
				t.Fatalf("line %d: %s", i+1, lines.Text())
			}
		} else if got.ID != fmt.Sprint(i) || !got.Page {
			t.Fatalf("record %d: %s", i, lines.Text())
		}
	}
}

func TestStreamRefusesWhatIsNoRecord(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"empty object":         {`{}`, "has no text"},
		"rating out of range":  {`{"text":"x","rating":9}`, "rating 9"},
		"time that is none":    {`{"text":"x","published_at":"yesterday"}`, "not a record"},
		"line that is too big": {`{"text":"` + strings.Repeat("a", MaxLine) + `"}`, "longer than"},
		"array":                {`["text"]`, "not a record"},
	} {
		var out bytes.Buffer
		p, err := shared.Stream(t.Context(), strings.NewReader(c.in+"\n"), &out, StreamOptions{})
		if err != nil || p.Errors != 1 || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: %s, %v; want an error record with %q", name, out.String(), err, c.want)
		}
	}
}

func TestStreamOfPlainText(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if _, err := shared.Stream(t.Context(), strings.NewReader("{\"text\":1}\r\nlast line"), &out, StreamOptions{Text: true}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "\n"); got != 2 {
		t.Errorf("%d lines, want 2: %s", got, out.String())
	}
}

func TestStreamEndsWithTheErrorOfItsReaderOrWriter(t *testing.T) {
	t.Parallel()
	broken := errors.New("pulled the plug")
	long := strings.Repeat(`{"text":"hello"}`+"\n", 5000)
	if _, err := shared.Stream(t.Context(), io.MultiReader(strings.NewReader(long), failing{broken}), io.Discard, StreamOptions{}); !errors.Is(err, broken) {
		t.Errorf("reader: %v", err)
	}
	if _, err := shared.Stream(t.Context(), strings.NewReader(long), failing{broken}, StreamOptions{}); !errors.Is(err, broken) {
		t.Errorf("writer: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }
