package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/notify"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/source"
)

// The tests here speak to servers that others wrote, which they start on
// 127.0.0.1 and stop again. Where a program is missing they are skipped, or
// fail if EARSHOT_TEST_REQUIRE is set; .ci/run installs them all.

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// absent ends the test because of a program that isn't here.
func absent(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("EARSHOT_TEST_REQUIRE") != "" {
		t.Fatalf("%s; .ci/run installs it", what)
	}
	t.Skipf("%s; EARSHOT_TEST_REQUIRE=1 makes this a failure", what)
}

// program finds an installed program.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, name := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	absent(t, name+" is not installed")
	return ""
}

// nodeServer finds a server that npm has installed in EARSHOT_TEST_NODE, by
// .ci/node/package.json, and returns node with what to give it.
func nodeServer(t *testing.T, script string) (node, path string) {
	t.Helper()
	node = program(t, "node")
	path = filepath.Join(os.Getenv("EARSHOT_TEST_NODE"), "node_modules", script)
	if _, err := os.Stat(path); os.Getenv("EARSHOT_TEST_NODE") == "" || err != nil {
		absent(t, script+" is not in the folder EARSHOT_TEST_NODE names")
	}
	return node, path
}

// running starts a server, waits until ready says so, and stops it with the
// test.
func running(t *testing.T, ready func() error, cmd *exec.Cmd) {
	t.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // it is stopped with all it has started
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd.Path, said.String())
		}
	})
	limit := time.Now().Add(time.Minute)
	for {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s has ended:\n%s", cmd.Path, said.String())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(limit) {
			t.Fatalf("%s is not ready: %v", cmd.Path, err)
		}
	}
}

// vacant returns ports that nobody listens on.
func vacant(t *testing.T, n int) []string {
	t.Helper()
	ports := make([]string, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, ports[i], _ = net.SplitHostPort(l.Addr().String())
	}
	return ports
}

func listens(port string) func() error {
	return func() error {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
		}
		return err
	}
}

func local(t *testing.T) *outbound.Client {
	t.Helper()
	c, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1"}, Rate: 1000, Burst: 1000})
	must(t, err)
	return c
}

func openNotifier(t *testing.T, kind string, config map[string]any) notify.Notifier {
	t.Helper()
	raw, err := json.Marshal(config)
	must(t, err)
	i := slices.IndexFunc(notify.Kinds, func(k notify.Kind) bool { return k.Name == kind })
	n, err := notify.Kinds[i].Open(raw, notify.Deps{Client: local(t)})
	must(t, err)
	return n
}

func realPage() notify.Page {
	return notify.Page{
		Key: "esc234.1", Action: escalation.Trigger, Stands: escalation.Trigger, Escalation: "esc234", Brand: "くもカフェ",
		Category: mention.SafetyHazard, Origin: escalation.ByVerdict, Urgency: escalation.Wake, Excerpt: "ふたが外れてやけどした①髙",
		Platform: "x", URL: "https://desk.example/escalations/esc234", AckURL: "https://desk.example/ack/x",
		To: notify.Recipient{Name: "田中 勉", Email: "ben@kumo.example"}, At: time.Now(), Lang: "ja",
	}
}

func notified(t *testing.T, n notify.Notifier, p notify.Page) {
	t.Helper()
	_, err := n.Notify(t.Context(), p)
	must(t, err)
}

func getJSON(t *testing.T, address string, into any) error {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

// TestRealMailServer sends pages to maildev and reads them there.
func TestRealMailServer(t *testing.T) {
	t.Parallel()
	node, path := nodeServer(t, "maildev/bin/maildev")
	ports := vacant(t, 2)
	cmd := exec.Command(node, path, "--ip", "127.0.0.1", "--smtp", ports[0], "--web-ip", "127.0.0.1", "--web", ports[1], "--mail-directory", t.TempDir())
	running(t, func() error { return errors.Join(listens(ports[0])(), listens(ports[1])()) }, cmd)
	n := openNotifier(t, "email", map[string]any{"host": "127.0.0.1", "port": json.Number(ports[0]), "security": "none", "from": "イヤショット <pager@earshot.example>"})
	p := realPage()
	notified(t, n, p)
	p.Action, p.Stands, p.Key, p.By = escalation.Acknowledge, escalation.Acknowledge, "esc234.2", "田中"
	notified(t, n, p)
	type caught struct {
		Subject, Text string
		Headers       map[string]any
		To, From      []struct{ Address, Name string }
	}
	var mails []caught
	must(t, getJSON(t, "http://127.0.0.1:"+ports[1]+"/email", &mails))
	if len(mails) != 2 {
		t.Fatalf("%d mails", len(mails))
	}
	slices.SortFunc(mails, func(a, b caught) int {
		return strings.Compare(fmt.Sprint(a.Headers["message-id"]), fmt.Sprint(b.Headers["message-id"]))
	})
	first, second := mails[0], mails[1]
	if first.Subject != "【至急】くもカフェ：けがや安全に関わる投稿" || !strings.Contains(first.Text, "「ふたが外れてやけどした①髙」") {
		t.Errorf("%q\n%s", first.Subject, first.Text)
	}
	if len(first.To) != 1 || first.To[0].Name != "田中 勉" || first.From[0].Name != "イヤショット" {
		t.Errorf("to %+v, from %+v", first.To, first.From)
	}
	if second.Subject != "【対応中】くもカフェ：けがや安全に関わる投稿" || first.Headers["references"] != second.Headers["references"] || first.Headers["references"] == nil {
		t.Errorf("%q, in the thread %v and %v", second.Subject, first.Headers["references"], second.Headers["references"])
	}
}

// TestRealAlertmanager follows an escalation through Prometheus Alertmanager,
// to the receiver it routes to.
func TestRealAlertmanager(t *testing.T) {
	t.Parallel()
	bin := program(t, "prometheus-alertmanager")
	told := make(chan string, 20)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Alerts []struct {
				Status              string
				Labels, Annotations map[string]string
			}
		}
		json.NewDecoder(r.Body).Decode(&body)
		for _, a := range body.Alerts {
			told <- a.Status + " " + a.Labels["severity"] + ": " + a.Annotations["summary"]
		}
	}))
	defer receiver.Close()
	dir, port := t.TempDir(), vacant(t, 1)[0]
	config := fmt.Sprintf("route: {receiver: pr, group_by: [escalation, severity], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}\nreceivers: [{name: pr, webhook_configs: [{url: %q}]}]\n", receiver.URL)
	must(t, os.WriteFile(filepath.Join(dir, "am.yml"), []byte(config), 0o600))
	base := "http://127.0.0.1:" + port
	running(t, func() error {
		resp, err := http.Get(base + "/-/ready")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = errors.New(resp.Status)
			}
		}
		return err
	}, exec.Command(bin, "--config.file", filepath.Join(dir, "am.yml"), "--storage.path", dir, "--web.listen-address", "127.0.0.1:"+port, "--cluster.listen-address="))
	n := openNotifier(t, "alertmanager", map[string]any{"url": base, "labels": map[string]string{"team": "pr"}})
	active := func() (out []string) {
		var alerts []struct{ Labels map[string]string }
		must(t, getJSON(t, base+"/api/v2/alerts?active=true", &alerts))
		for _, a := range alerts {
			out = append(out, a.Labels["severity"]+" "+a.Labels["team"]+" "+a.Labels["escalation"])
		}
		return out
	}
	var heard []string
	hears := func(want string) {
		t.Helper()
		for limit := time.After(30 * time.Second); ; {
			if i := slices.IndexFunc(heard, func(s string) bool { return strings.HasPrefix(s, want) }); i >= 0 {
				heard = slices.Delete(heard, i, i+1)
				return
			}
			select {
			case got := <-told:
				heard = append(heard, got)
			case <-limit:
				t.Fatalf("nobody is told %q, but %q; active are %q", want, heard, active())
			}
		}
	}
	p := realPage()
	p.Urgency = escalation.Notify
	notified(t, n, p)
	hears("firing info: 【お知らせ】")
	p.Urgency, p.Key = escalation.Wake, "esc234.2"
	for range 3 { // it is the same alert, however often it is sent
		notified(t, n, p)
	}
	hears("firing critical: 【至急】")
	hears("resolved info")
	if got := active(); !slices.Equal(got, []string{"critical pr esc234"}) {
		t.Errorf("active: %q", got)
	}
	p.Action, p.Stands, p.By, p.Key = escalation.Acknowledge, escalation.Acknowledge, "田中", "esc234.3"
	time.Sleep(1100 * time.Millisecond) // Alertmanager's times are of seconds
	notified(t, n, p)
	hears("resolved critical: 【対応中】")
	if got := active(); len(got) > 0 || len(heard) > 0 {
		t.Errorf("active after somebody has it: %q; also told: %q", got, heard)
	}
}

// readsMail has a source read what arrives in a mailbox while it waits, and
// while it is away.
func readsMail(t *testing.T, config string, arrives func(raw string)) {
	t.Helper()
	letter := func(n int) string {
		return fmt.Sprintf("Date: %s\r\nFrom: %s <mori@mail.example>\r\nSubject: %s\r\nMessage-ID: <%d@mail.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=ISO-2022-JP\r\n\r\n\x1b$B%%\"%%/%%a\x1b(B %d\r\n",
			time.Now().Format(time.RFC1123Z), mime.BEncoding.Encode("utf-8", "森"), mime.BEncoding.Encode("utf-8", "アクメのケトル"), n, n)
	}
	kind, _ := source.Named("email")
	src, err := kind.Open([]byte(config), source.Deps{HTTP: local(t), Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now})
	must(t, err)
	arrives(letter(1))
	cursor := ""
	for round := range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		sent, got := round*2+1, 0
		for item, err := range src.Fetch(ctx, cursor) {
			if err != nil {
				t.Fatal(err)
			}
			cursor = item.Cursor
			if item.Post.NativeID == "" || item.Post.Platform != "email" || !strings.HasSuffix(item.Post.NativeID, "@mail.example") {
				continue // what came with the server
			}
			got++
			want := round*2 + got
			if p := item.Post; p.NativeID != fmt.Sprintf("%d@mail.example", want) || p.Title != "アクメのケトル" || p.Author.Name != "森" || p.Text != fmt.Sprintf("アクメ %d", want) {
				t.Fatalf("mail %d: %+v", want, p)
			}
			if got == 2 {
				break
			}
			// The next arrives while the source waits for it.
			time.AfterFunc(500*time.Millisecond, func() { arrives(letter(sent + 1)) })
		}
		if got != 2 {
			t.Fatalf("round %d: %d mails", round, got)
		}
		if round == 0 {
			arrives(letter(3)) // while nobody reads
		}
	}
}

// TestRealDovecot reads a mailbox of Dovecot, over TLS in both ways.
func TestRealDovecot(t *testing.T) {
	t.Parallel()
	bin := program(t, "dovecot")
	dir, err := os.MkdirTemp("/tmp", "earshot-dovecot-") // a socket's path is short
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, sub := range []string{"run", "state", "mail/new", "mail/cur", "mail/tmp"} {
		must(t, os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	writeCertificate(t, dir)
	ports := vacant(t, 2)
	cmd := exec.Command(bin, "-F", "-c", filepath.Join(dir, "dovecot.conf"))
	user, group, uid, gid := "nobody", "nogroup", 65534, 65534
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		must(t, exec.Command("chown", "-R", "65534:65534", dir).Run())
	} else {
		uid, gid = os.Geteuid(), os.Getegid()
		user, group = output(t, "id", "-un"), output(t, "id", "-gn")
	}
	config := fmt.Sprintf(`
protocols = imap
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = /dev/stderr
listen = 127.0.0.1
default_login_user = %[2]s
default_internal_user = %[2]s
default_internal_group = %[3]s
mail_location = maildir:%[1]s/mail
ssl = yes
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
disable_plaintext_auth = yes
first_valid_uid = 0
passdb {
  driver = static
  args = password=hunter2
}
userdb {
  driver = static
  args = uid=%[4]d gid=%[5]d home=%[1]s
}
service imap-login {
  chroot =
  inet_listener imap {
    port = %[6]s
  }
  inet_listener imaps {
    port = %[7]s
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
`, dir, user, group, uid, gid, ports[0], ports[1])
	must(t, os.WriteFile(filepath.Join(dir, "dovecot.conf"), []byte(config), 0o644))
	running(t, listens(ports[1]), cmd)
	n := 0
	arrives := func(raw string) {
		n++
		name := filepath.Join(dir, "mail/tmp", fmt.Sprintf("%d.%d.test", time.Now().UnixNano(), n))
		err := os.WriteFile(name, []byte(raw), 0o644)
		if os.Geteuid() == 0 {
			err = errors.Join(err, os.Chown(name, uid, gid))
		}
		if err = errors.Join(err, os.Rename(name, filepath.Join(dir, "mail/new", filepath.Base(name)))); err != nil {
			t.Error(err)
		}
	}
	account := "\nhost: 127.0.0.1\nusername: help@acme.example\npassword: hunter2\nca_file: " + filepath.Join(dir, "cert.pem")
	for security, port := range map[string]string{"tls": ports[1], "starttls": ports[0]} {
		t.Run(security, func(t *testing.T) {
			old, _ := filepath.Glob(filepath.Join(dir, "mail/*/*"))
			for _, name := range old {
				os.Remove(name)
			}
			readsMail(t, "security: "+security+"\nport: "+port+account, arrives)
		})
	}
}

// TestRealHoodiecrow reads a mailbox of a server that is not Dovecot.
func TestRealHoodiecrow(t *testing.T) {
	t.Parallel()
	node, path := nodeServer(t, "hoodiecrow-imap/bin/hoodiecrow")
	port := vacant(t, 1)[0]
	cmd := exec.Command(node, path, "--port", port, "--smtpPort", vacant(t, 1)[0], "--plugin", "ID", "--plugin", "IDLE", "--plugin", "UIDPLUS")
	running(t, listens(port), cmd)
	readsMail(t, "host: 127.0.0.1\nport: "+port+"\nsecurity: none\nusername: testuser\npassword: testpass\n", func(raw string) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "a LOGIN testuser testpass\r\nb APPEND INBOX () {%d}\r\n", len(raw))
		if !readsUntil(conn, "+ ") {
			t.Error("APPEND is not taken")
			return
		}
		fmt.Fprintf(conn, "%s\r\n", raw)
		if !readsUntil(conn, "b OK") {
			t.Error("APPEND has failed")
		}
	})
}

func readsUntil(r io.Reader, mark string) bool {
	var seen []byte
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		seen = append(seen, buf[:n]...)
		if bytes.Contains(seen, []byte(mark)) {
			return true
		}
		if err != nil {
			return false
		}
	}
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

// writeCertificate makes one for 127.0.0.1: cert.pem and key.pem in dir.
func writeCertificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	certPEM, keyPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
	_, err = tls.X509KeyPair(certPEM, keyPEM)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "cert.pem"), certPEM, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "key.pem"), keyPEM, 0o644))
}
