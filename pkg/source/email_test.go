package source

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"github.com/earshot/earshot/pkg/outbound"
)

// mailServer is an IMAP server with one user, whose INBOX is at hand.
type mailServer struct {
	t    *testing.T
	port string
	user *imapmemserver.User

	mu    sync.Mutex
	cut   bool // whoever idles is cut off
	idles int
	conns []net.Conn
}

// mailSession notes who idles.
type mailSession struct {
	imapserver.Session
	server *mailServer
	conn   net.Conn
}

func (s mailSession) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	s.server.mu.Lock()
	s.server.idles++
	cut := s.server.cut
	s.server.mu.Unlock()
	if cut {
		return s.conn.Close()
	}
	return s.Session.Idle(w, stop)
}

func startMails(t *testing.T, secure *tls.Config, implicit bool) *mailServer {
	t.Helper()
	m := &mailServer{t: t, user: imapmemserver.NewUser("help@acme.example", "hunter2 and more")}
	if err := m.user.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	users := imapmemserver.New()
	users.AddUser(m.user)
	srv := imapserver.New(&imapserver.Options{
		NewSession: func(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.conns = append(m.conns, c.NetConn())
			return mailSession{users.NewSession(), m, c.NetConn()}, nil, nil
		},
		Caps: imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIdle: {}}, TLSConfig: secure, InsecureAuth: secure == nil,
		Logger: discard{},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, m.port, _ = net.SplitHostPort(l.Addr().String())
	if implicit {
		l = tls.NewListener(l, secure)
	}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return m
}

type discard struct{}

func (discard) Printf(string, ...any) {}

// recordedMails serves the mails of a folder, and ends when all are read.
func recordedMails(t *testing.T, dir string) *mailServer {
	m := startMails(t, nil, false)
	m.cut = true
	files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d mails in %s, %v", len(files), dir, err)
	}
	for i, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m.arrives("INBOX", string(raw), testNow.Add(time.Duration(i-len(files))*time.Minute))
	}
	return m
}

func (m *mailServer) arrives(folder, raw string, at time.Time) {
	m.t.Helper()
	if _, err := m.user.Append(folder, bytes.NewReader([]byte(raw)), &imap.AppendOptions{Time: at}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mailServer) idling() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.idles
}

func (m *mailServer) open(t *testing.T, extra string) bench {
	t.Helper()
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	return openMails(t, "host: 127.0.0.1\nport: "+m.port+"\nusername: help@acme.example\npassword: hunter2 and more\n"+extra, client)
}

func openMails(t *testing.T, config string, client *outbound.Client) bench {
	t.Helper()
	k, _ := Named("email")
	log := &syncBuffer{}
	src, err := k.Open([]byte(config), Deps{HTTP: client, Log: slog.New(slog.NewTextHandler(log, nil)), Now: func() time.Time { return testNow }})
	if err != nil {
		t.Fatal(err)
	}
	return bench{src, log}
}

func letterOf(n int) string {
	return fmt.Sprintf("From: a@b.example\r\nSubject: acme %d\r\nMessage-ID: <%d@b.example>\r\n\r\nNumber %d\r\n", n, n, n)
}

// following reads a source until the test ends, and gives what it yields.
func following(t *testing.T, src Source, cursor string) (items <-chan Item, end func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	out, done := make(chan Item, 100), make(chan error, 1)
	go func() {
		for it, err := range src.Fetch(ctx, cursor) {
			if err != nil {
				done <- err
				return
			}
			out <- it
		}
		done <- nil
	}()
	t.Cleanup(cancel)
	return out, func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			return errors.New("did not end")
		}
	}
}

func next(t *testing.T, items <-chan Item) Item {
	t.Helper()
	select {
	case it := <-items:
		return it
	case <-time.After(20 * time.Second):
		t.Fatal("nothing in 20 s")
		panic("unreachable")
	}
}

func TestMailsArriveWhileIdling(t *testing.T) {
	t.Parallel()
	m := startMails(t, nil, false)
	m.arrives("INBOX", letterOf(1), testNow.Add(-time.Hour))
	m.arrives("INBOX", letterOf(2), testNow.Add(-100*24*time.Hour)) // older than the backfill
	src := m.open(t, "security: none\n")
	items, end := following(t, src, "")
	if it := next(t, items); it.Post.NativeID != "1@b.example" {
		t.Errorf("%+v", it)
	}
	if it := next(t, items); it.Post.NativeID != "" || it.Cursor == "" {
		t.Errorf("the old one is passed over: %+v", it)
	}
	for wait := time.Now().Add(20 * time.Second); m.idling() == 0 && time.Now().Before(wait); {
		time.Sleep(time.Millisecond)
	}
	m.arrives("INBOX", letterOf(3), testNow)
	it := next(t, items)
	if it.Post.NativeID != "3@b.example" || it.Post.Text != "Number 3" {
		t.Errorf("%+v", it)
	}
	if err := end(); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	m.arrives("INBOX", letterOf(4), testNow)
	items, _ = following(t, src, it.Cursor)
	if it := next(t, items); it.Post.NativeID != "4@b.example" {
		t.Errorf("after its cursor: %+v", it)
	}
}

func TestAMailboxThatCountsAnewIsReadAgain(t *testing.T) {
	t.Parallel()
	m := startMails(t, nil, false)
	m.arrives("INBOX", letterOf(1), testNow.Add(-time.Hour))
	items, end := following(t, m.open(t, "security: none\n"), "")
	cursor := next(t, items).Cursor
	end()
	other := startMails(t, nil, false)
	other.user.Create("first", nil) // takes a validity, so that the next differs
	other.user.Delete("INBOX")
	other.user.Create("INBOX", nil)
	for n := range 3 {
		other.arrives("INBOX", letterOf(n), testNow.Add(-time.Duration(60-n)*time.Minute))
	}
	other.arrives("INBOX", letterOf(9), testNow.Add(-72*time.Hour))
	items, _ = following(t, other.open(t, "security: none\n"), cursor)
	var got []string
	for range 3 {
		got = append(got, next(t, items).Post.NativeID)
	}
	if !slices.Equal(got, []string{"0@b.example", "1@b.example", "2@b.example"}) {
		t.Errorf("%v, want all since a day before the last", got)
	}
}

// TestMailSecurity holds that a password only leaves where nobody listens.
func TestMailSecurity(t *testing.T) {
	t.Parallel()
	cert, ca := mailCertificate(t)
	_, otherCA := mailCertificate(t)
	secure := &tls.Config{Certificates: []tls.Certificate{cert}}
	implicit, start, clear := startMails(t, secure, true), startMails(t, secure, false), startMails(t, nil, false)
	for _, m := range []*mailServer{implicit, start, clear} {
		m.arrives("INBOX", letterOf(1), testNow)
	}
	for _, tt := range []struct {
		name      string
		server    *mailServer
		conf      string
		works     bool
		permanent bool
	}{
		{"TLS", implicit, "security: tls\nca_file: " + ca, true, false},
		{"STARTTLS", start, "security: starttls\nca_file: " + ca, true, false},
		{"a server nobody vouches for", implicit, "security: tls\nca_file: " + otherCA, false, false},
		{"STARTTLS is required", clear, "security: starttls\nca_file: " + ca, false, true},
		{"in the clear, on this machine", clear, "security: none", true, false},
		{"no such folder", clear, "security: none\nfolder: Nowhere", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := tt.server.open(t, tt.conf)
			if tt.works {
				items, end := following(t, src, "")
				next(t, items)
				end()
				return
			}
			err := firstError(t, src)
			p, ok := errors.AsType[interface {
				error
				Permanent() bool
			}](err)
			if err == nil || (ok && p.Permanent()) != tt.permanent {
				t.Errorf("%v, want a failure, permanent %v", err, tt.permanent)
			}
		})
	}
	t.Run("a wrong password is refused for good, and not told", func(t *testing.T) {
		src := openMails(t, "host: 127.0.0.1\nport: "+clear.port+"\nusername: help@acme.example\npassword: hunter3\nsecurity: none", guardFor(t, "127.0.0.1"))
		err := firstError(t, src)
		if p, ok := errors.AsType[interface {
			error
			Permanent() bool
		}](err); !ok || !p.Permanent() || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%v", err)
		}
	})
	t.Run("the guard is asked", func(t *testing.T) {
		err := firstError(t, openMails(t, "host: 127.0.0.1\nport: "+clear.port+"\nusername: u\npassword: hunter2\nsecurity: none", guardFor(t)))
		if !errors.Is(err, outbound.ErrPrivate) {
			t.Errorf("%v", err)
		}
	})
	t.Run("in the clear nowhere else", func(t *testing.T) {
		k, _ := Named("email")
		if err := k.Check([]byte("host: mail.example\nusername: u\npassword: p\nsecurity: none")); err == nil || !strings.Contains(err.Error(), "security") {
			t.Errorf("%v", err)
		}
	})
}

func guardFor(t *testing.T, allow ...string) *outbound.Client {
	c, err := outbound.New(outbound.Options{Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// firstError is the error that ends a source's first fetch.
func firstError(t *testing.T, src Source) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, err := range src.Fetch(ctx, "") {
		if err != nil {
			return err
		}
	}
	return nil
}

func mailCertificate(t *testing.T) (tls.Certificate, string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, name
}

// TestMailByConsent speaks XOAUTH2 as Google documents it: a refusal comes as a
// challenge that has to be answered before the server says NO.
func TestMailByConsent(t *testing.T) {
	t.Parallel()
	cert, ca := mailCertificate(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan string, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				fmt.Fprint(conn, "* OK [CAPABILITY IMAP4rev1 IDLE SASL-IR AUTH=XOAUTH2] ready\r\n")
				line, _ := r.ReadString('\n')
				asked <- line
				fmt.Fprint(conn, "+ eyJzdGF0dXMiOiI0MDAifQ==\r\n")
				r.ReadString('\n') // an answer without content, in whatever form
				tag, _, _ := strings.Cut(line, " ")
				fmt.Fprintf(conn, "%s NO [AUTHENTICATIONFAILED] Invalid credentials\r\n", tag)
				io.Copy(io.Discard, r)
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	src := openMails(t, "host: 127.0.0.1\nport: "+port+"\nusername: help@acme.example\nauth: google\nclient_id: app\nclient_secret: hunter2\nca_file: "+ca, guardFor(t, "127.0.0.1"))
	box := src.Source.(*email)
	if c := box.Consent(); c.ClientID != "app" || !strings.Contains(c.AuthCodeURL("s"), "access_type=offline") || c.Scopes[0] != "https://mail.google.com/" {
		t.Errorf("%+v", c)
	}
	box.token = func(context.Context) (string, error) { return "hunter2-token", nil }
	err = firstError(t, src)
	if p, ok := errors.AsType[interface {
		error
		Permanent() bool
	}](err); !ok || !p.Permanent() || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	line := <-asked
	_, encoded, _ := strings.Cut(strings.TrimSpace(line), "XOAUTH2 ")
	if raw, err := base64.StdEncoding.DecodeString(encoded); err != nil || string(raw) != "user=help@acme.example\x01auth=Bearer hunter2-token\x01\x01" {
		t.Errorf("asked %q: %q, %v", line, raw, err)
	}
}

// badMails is an IMAP server that plays a script: say answers a command, or
// falls silent by false.
func badMails(t *testing.T, say func(conn net.Conn, tag, command string) bool) (port string, commands func() []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var mu sync.Mutex
	var asked []string
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if !say(conn, "", "") {
					io.Copy(io.Discard, conn)
					return
				}
				for sc := bufio.NewScanner(conn); sc.Scan(); {
					tag, command, _ := strings.Cut(sc.Text(), " ")
					mu.Lock()
					asked = append(asked, command)
					mu.Unlock()
					if !say(conn, tag, command) {
						io.Copy(io.Discard, conn)
						return
					}
				}
			}()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(asked)
	}
}

// properly answers as a server with the mails does, validity aside.
func properly(conn net.Conn, validity int, tag, command string, mails ...string) {
	verb, rest, _ := strings.Cut(command, " ")
	if verb == "UID" {
		verb, rest, _ = strings.Cut(rest, " ")
	}
	switch strings.ToUpper(verb) {
	case "":
		fmt.Fprint(conn, "* OK [CAPABILITY IMAP4rev1] ready\r\n")
		return
	case "EXAMINE", "SELECT":
		fmt.Fprintf(conn, "* %d EXISTS\r\n* OK [UIDVALIDITY %d] ok\r\n* OK [UIDNEXT %d] ok\r\n", len(mails), validity, len(mails)+1)
	case "SEARCH":
		fmt.Fprint(conn, "* SEARCH")
		for i := range mails {
			fmt.Fprintf(conn, " %d", i+1)
		}
		fmt.Fprint(conn, "\r\n")
	case "FETCH":
		var uid int
		fmt.Sscan(rest, &uid)
		fmt.Fprintf(conn, "* %d FETCH (UID %d INTERNALDATE \"20-Nov-2026 11:00:00 +0000\" BODY[]<0> {%d}\r\n%s)\r\n", uid, uid, len(mails[uid-1]), mails[uid-1])
	}
	fmt.Fprintf(conn, "%s OK done\r\n", tag)
}

func openBad(t *testing.T, port string) bench {
	src := openMails(t, "host: 127.0.0.1\nport: "+port+"\nusername: help@acme.example\npassword: hunter2\nsecurity: none\n", guardFor(t, "127.0.0.1"))
	src.Source.(*email).connect, src.Source.(*email).step = time.Second, 2*time.Second
	return src
}

// TestMailServersThatBreak: the mailbox's state says what happened, and the next
// connection goes on after the last mail that came whole.
func TestMailServersThatBreak(t *testing.T) {
	t.Parallel()
	mails := []string{letterOf(1), letterOf(2), letterOf(3)}
	is := func(command, verb string) bool { return strings.Contains(strings.ToUpper(command), verb) }
	second := func(command string) bool { return is(command, "UID FETCH 2 ") }
	endless := func(conn net.Conn, text string) {
		for err := error(nil); err == nil; {
			_, err = io.WriteString(conn, text)
		}
	}
	for what, c := range map[string]struct {
		breaks func(conn net.Conn, tag, command string) (broken, silent bool)
		want   outbound.Reason
		said   string
		first  int // mails that come before it
	}{
		"says nothing at all": {func(_ net.Conn, _, command string) (bool, bool) { return command == "", true }, outbound.TimedOut, "within 1s", 0},
		"hangs after LOGIN": {func(_ net.Conn, _, command string) (bool, bool) {
			return is(command, "EXAMINE") || is(command, "SELECT"), true
		}, outbound.TimedOut, "within 1s", 0},
		"hangs in LOGIN":      {func(_ net.Conn, _, command string) (bool, bool) { return is(command, "LOGIN"), true }, outbound.TimedOut, "within 1s", 0},
		"hangs in the search": {func(_ net.Conn, _, command string) (bool, bool) { return is(command, "SEARCH"), true }, outbound.TimedOut, "within 2s", 0},
		"hangs in a mail": {func(conn net.Conn, _, command string) (bool, bool) {
			if second(command) {
				fmt.Fprint(conn, "* 2 FETCH (UID 2 BODY[]<0> {100}\r\nFrom: a@b.example\r\n")
			}
			return second(command), true
		}, outbound.TimedOut, "within 2s", 1},
		"drops in a mail": {func(conn net.Conn, _, command string) (bool, bool) {
			if second(command) {
				fmt.Fprint(conn, "* 2 FETCH (UID 2 BODY[]<0> {100}\r\nFrom: a@b.example\r\nSubject: half\r\n\r\nof a")
			}
			return second(command), false
		}, outbound.Unreachable, "", 1},
		"says goodbye": {func(conn net.Conn, _, command string) (bool, bool) {
			if second(command) {
				fmt.Fprint(conn, "* BYE [UNAVAILABLE] going down\r\n")
			}
			return second(command), false
		}, outbound.Unreachable, "", 1},
		"greets without end": {func(conn net.Conn, _, command string) (bool, bool) {
			if command == "" {
				endless(conn, "* OK "+strings.Repeat("x", 64<<10))
			}
			return command == "", false
		}, outbound.TooLarge, "", 0},
		"sends a line without end": {func(conn net.Conn, _, command string) (bool, bool) {
			if is(command, "SEARCH") {
				fmt.Fprint(conn, "* OK ")
				endless(conn, strings.Repeat("x", 64<<10))
			}
			return is(command, "SEARCH"), false
		}, outbound.TooLarge, "", 0},
		"speaks HTTP": {func(conn net.Conn, _, command string) (bool, bool) {
			if command == "" {
				fmt.Fprint(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			}
			return command == "", false
		}, outbound.Unreachable, "", 0},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var mended atomic.Bool
			port, commands := badMails(t, func(conn net.Conn, tag, command string) bool {
				if !mended.Load() {
					if broken, silent := c.breaks(conn, tag, command); broken {
						if !silent {
							conn.Close()
						}
						return false
					}
				}
				properly(conn, 1, tag, command, mails...)
				return true
			})
			src := openBad(t, port)
			if c.want == outbound.TooLarge { // before it is too late
				src.Source.(*email).connect, src.Source.(*email).step = time.Minute, time.Minute
			}
			start := time.Now()
			items, err := src.fetch(t.Context(), "")
			if got := outbound.Explain(err, testNow); got.Reason != c.want || got.Host != "127.0.0.1" || !strings.Contains(fmt.Sprint(err), c.said) || strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Errorf("told as %q of %q: %v", got.Reason, got.Host, err)
			}
			if took := time.Since(start); len(items) != c.first || took > 20*time.Second || len(commands()) > 10 {
				t.Errorf("%d mails and %d commands in %v", len(items), len(commands()), took)
			}
			mended.Store(true)
			rest, end := following(t, src, last(items, ""))
			for n := c.first + 1; n <= len(mails); n++ {
				if it := next(t, rest); it.Post.NativeID != fmt.Sprintf("%d@b.example", n) {
					t.Errorf("number %d is %q", n, it.Post.NativeID)
				}
			}
			end()
		})
	}
}

// TestAMailLongerThanAskedHoldsBackNoOther, though the server sends all of it, and
// more than anybody would read.
func TestAMailLongerThanAskedHoldsBackNoOther(t *testing.T) {
	t.Parallel()
	port, _ := badMails(t, func(conn net.Conn, tag, command string) bool {
		if strings.Contains(strings.ToUpper(command), "UID FETCH 2 ") {
			fmt.Fprintf(conn, "* 2 FETCH (UID 2 INTERNALDATE \"20-Nov-2026 11:00:00 +0000\" BODY[] {4000000000}\r\n%s", letterOf(2))
			for err := error(nil); err == nil; {
				_, err = io.WriteString(conn, strings.Repeat("a line of it\r\n", 1000))
			}
			return false
		}
		properly(conn, 1, tag, command, letterOf(1), letterOf(2), letterOf(3))
		return true
	})
	src := openBad(t, port)
	src.Source.(*email).step = time.Minute
	items, err := src.fetch(t.Context(), "")
	if len(items) != 2 || err == nil {
		t.Fatalf("%d mails, %v", len(items), err)
	}
	if text := items[1].Post.Text; !strings.HasPrefix(text, "Number 2\na line of it") || len(text) > 2*maxMailText {
		t.Errorf("%d bytes are kept of it", len(text))
	}
	rest, end := following(t, src, last(items, ""))
	if it := next(t, rest); it.Post.NativeID != "3@b.example" {
		t.Errorf("%+v", it)
	}
	end()
}
