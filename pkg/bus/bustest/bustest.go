// Package bustest helps tests of packages that own messages: a real bus of the
// test's own, a look at its files, and values in which no field is empty.
package bustest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/embedded"
)

// Log writes to the test's output.
func Log(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// Open returns a connection to a server that lives as long as the test, with
// its streams, and the folder the server keeps its files in. Change may set what
// the streams are to be.
func Open(t testing.TB, change ...func(*bus.Options)) (c *bus.Conn, dir string) {
	t.Helper()
	dir = t.TempDir()
	srv, err := embedded.Start(dir, Log(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	o := bus.Options{InProcess: srv, Name: "test", Log: Log(t)}
	for _, set := range change {
		set(&o)
	}
	c, err = bus.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Declare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c, dir
}

// Lying returns the files under dir that hold any of words, each with the word.
func Lying(t testing.TB, dir string, words ...string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, w := range words {
			if bytes.Contains(b, []byte(w)) {
				found = append(found, path+": "+w)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Eventually waits until is holds, looking again whenever what changed returns
// is closed, and fails the test after five seconds.
func Eventually(t testing.TB, changed func() <-chan struct{}, what string, is func() bool) {
	t.Helper()
	limit := time.After(5 * time.Second)
	for {
		next := changed()
		if is() {
			return
		}
		select {
		case <-next:
		case <-limit:
			t.Fatalf("never: %s", what)
		}
	}
}

// Clock is a clock that the test moves. It is safe for concurrent use.
type Clock struct{ at atomic.Int64 }

// NewClock returns a clock that stands at t, to the millisecond.
func NewClock(t time.Time) *Clock {
	c := &Clock{}
	c.at.Store(t.UnixMilli())
	return c
}

// Now is the time on the clock, in UTC.
func (c *Clock) Now() time.Time { return time.UnixMilli(c.at.Load()).UTC() }

// Pass moves the clock on.
func (c *Clock) Pass(d time.Duration) { c.at.Add(d.Milliseconds()) }

// Travels fails the test unless every field of T comes out of codec as it went
// in. Unset clears the fields that the stream fills, not the message.
func Travels[T any](t testing.TB, codec bus.Codec[T], unset func(*T)) {
	t.Helper()
	want := Full[T]()
	b, err := codec.Encode(nil, &want)
	if err != nil {
		t.Fatal(err)
	}
	var got T
	if err := codec.Decode(b, &got); err != nil {
		t.Fatal(err)
	}
	unset(&want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lost on the way (-sent +came):\n%s", diff)
	}
}

// Golden decodes the bytes in testdata/golden/name.pb, fails the test unless
// they are want, and returns what was read. The bytes were written once and lie
// on people's disks: with write set, only a file that is missing is made.
func Golden[T any](t testing.TB, codec bus.Codec[T], name string, want T, write bool) T {
	t.Helper()
	file := filepath.Join("testdata", "golden", name+".pb")
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && write {
		if b, err = codec.Encode(nil, &want); err == nil {
			err = os.WriteFile(file, b, 0o644)
		}
	}
	var got T
	if err == nil {
		err = codec.Decode(b, &got)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read otherwise than written (-written +read):\n%s", diff)
	}
	return got
}

// Full returns a T in which every field, at any depth, has a value of its own
// that is not the zero value: what a mapping forgets shows as a difference.
// Times are whole milliseconds. A type that contains itself ends at the second
// level.
func Full[T any]() T {
	var v T
	n := 0
	fill(reflect.ValueOf(&v).Elem(), &n, map[reflect.Type]int{})
	return v
}

func fill(v reflect.Value, n *int, depth map[reflect.Type]int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32:
		v.SetInt(int64(*n))
	case reflect.Int64: // durations too: whole milliseconds
		v.SetInt(int64(*n) * int64(time.Millisecond))
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Uint8:
		v.SetUint(uint64(*n % 256))
	case reflect.Float64:
		v.SetFloat(float64(*n) / 4)
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		fill(p.Elem(), n, depth)
		v.Set(p)
	case reflect.Slice:
		if depth[v.Type().Elem()] > 1 {
			return
		}
		s := reflect.MakeSlice(v.Type(), 2, 2)
		for i := range 2 {
			fill(s.Index(i), n, depth)
		}
		v.Set(s)
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n, depth)
		fill(value, n, depth)
		m.SetMapIndex(key, value)
		v.Set(m)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.UnixMilli(1_790_000_000_000 + int64(*n)).UTC()))
			return
		}
		depth[v.Type()]++
		for i := range v.NumField() {
			fill(v.Field(i), n, depth)
		}
		depth[v.Type()]--
	default:
		panic("bustest: no value for a " + v.Type().String())
	}
}
