package notify

import (
	"encoding/base64"
	"errors"
	"io"
	"net"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/earshot/earshot/pkg/config"
)

// decoded undoes the transfer encoding of m's body.
func decoded(m *netmail.Message) io.Reader {
	if m.Header.Get("Content-Transfer-Encoding") == "base64" {
		return base64.NewDecoder(base64.StdEncoding, m.Body)
	}
	return m.Body
}

// certificate makes one for 127.0.0.1 and writes it where a ca_file may be.
func certificate(t *testing.T) (tls.Certificate, string) {
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
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}

// guarded asks for a password.
type guarded struct{ *mailSession }

func (guarded) AuthMechanisms() []string { return []string{sasl.Plain} }
func (guarded) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "earshot" || password != theSecret {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func TestEmailSecurity(t *testing.T) {
	cert, ca := certificate(t)
	_, otherCA := certificate(t)
	withTLS := func(s *smtp.Server) { s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}} }
	tests := []struct {
		name      string
		server    func(*smtp.Server)
		conf      map[string]any
		fails     bool
		permanent bool
	}{
		{"STARTTLS is required", nil, map[string]any{"security": "starttls"}, true, true},
		{"STARTTLS is used", withTLS, map[string]any{"security": "starttls", "ca_file": ca}, false, false},
		{"a server nobody vouches for gets nothing", withTLS, map[string]any{"security": "starttls", "ca_file": otherCA}, true, false},
		{"the password is accepted", withTLS, map[string]any{"security": "starttls", "ca_file": ca, "username": "earshot", "password": theSecret}, false, false},
		{"a wrong password is refused for good", withTLS, map[string]any{"security": "starttls", "ca_file": ca, "username": "earshot", "password": theSecret + "!"}, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &far{done: make(chan struct{})}
			f.startMail(t, func(s *smtp.Server) {
				s.Backend = smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return guarded{&mailSession{far: f}}, nil })
				if tt.server != nil {
					tt.server(s)
				}
			})
			err := tell(t.Context(), open(t, "email", f.addr, tt.conf), samplePage("ja"))
			if (err != nil) != tt.fails || permanent(err) != tt.permanent {
				t.Errorf("%v, permanent %v", err, permanent(err))
			}
			if got := len(f.requests()); got > 0 == tt.fails {
				t.Errorf("%d mails arrived", got)
			}
			holdsNoSecret(t, err)
		})
	}
	t.Run("TLS from the first byte", func(t *testing.T) {
		f := &far{done: make(chan struct{})}
		f.startMail(t, func(s *smtp.Server) {
			s.Backend = smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return guarded{&mailSession{far: f}}, nil })
		})
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
		if err != nil {
			t.Fatal(err)
		}
		srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return guarded{&mailSession{far: f}}, nil }))
		srv.ErrorLog = quiet{}
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })
		conf := map[string]any{"security": "tls", "ca_file": ca, "username": "earshot", "password": theSecret}
		if err := tell(t.Context(), open(t, "email", l.Addr().String(), conf), samplePage("ja")); err != nil {
			t.Fatal(err)
		}
		if len(f.requests()) != 1 {
			t.Errorf("%d mails arrived", len(f.requests()))
		}
	})
}

func TestEmailRecipients(t *testing.T) {
	f := startFar(t, "email")
	t.Run("the person on the ladder", func(t *testing.T) {
		n := open(t, "email", f.addr, nil)
		if !IsPersonal(n) {
			t.Error("not personal")
		}
		p := samplePage("ja")
		p.To.Name = "田中\r\nBcc: everyone@example.com"
		if err := tell(t.Context(), n, p); err != nil {
			t.Fatal(err)
		}
		if got := f.requests()[0]; !strings.Contains(got, "<ben@kumo.example>\n") || strings.Contains(got, "\nBcc") {
			t.Errorf("to:\n%s", got)
		}
	})
	t.Run("fixed recipients, whoever is on the ladder", func(t *testing.T) {
		n := open(t, "email", f.addr, map[string]any{"to": []string{"PR <pr@kumo.example>", "night@kumo.example"}})
		if IsPersonal(n) {
			t.Error("personal")
		}
		f.answer(take)
		if err := tell(t.Context(), n, samplePage("en")); err != nil {
			t.Fatal(err)
		}
		if got := f.requests()[0]; !strings.Contains(got, "pr@kumo.example") || !strings.Contains(got, "night@kumo.example") || strings.Contains(got, "ben@") {
			t.Errorf("to:\n%s", got)
		}
	})
	t.Run("a letter goes to its person, whatever recipients are fixed for pages", func(t *testing.T) {
		n := open(t, "email", f.addr, map[string]any{"to": []string{"pr@kumo.example"}})
		f.answer(take)
		l := Letter{Key: "invitation.ken.1", To: Recipient{Name: "Ken\r\nBcc: everyone@example.com", Email: "ken@kumo.example"}, Subject: "Earshotへの招待\r\nBcc: everyone@example.com", Text: "https://desk.example/invitation/ken/x"}
		if err := n.(Mailer).Mail(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if got := f.requests()[0]; !strings.Contains(got, "<ken@kumo.example>\n") || strings.Contains(got, "pr@") || strings.Contains(got, "\nBcc") || !strings.Contains(got, l.Text) {
			t.Errorf("letter:\n%s", got)
		}
		l.To.Email = "not an address"
		if err := n.(Mailer).Mail(t.Context(), l); !permanent(err) {
			t.Errorf("to nobody: %v", err)
		}
	})
	t.Run("a person without an address is refused for good", func(t *testing.T) {
		p := samplePage("ja")
		p.To.Email = "not an address"
		if err := tell(t.Context(), open(t, "email", f.addr, nil), p); !permanent(err) || strings.Contains(err.Error(), "not an") {
			t.Errorf("%v", err)
		}
	})
}

func TestEmailConfig(t *testing.T) {
	for _, tt := range []struct{ name, conf, key string }{
		{"a port that isn't", `{host: m, from: a@b.example, port: 99999}`, "port"},
		{"a sender that isn't", `{host: m, from: nobody}`, "from"},
		{"a recipient that isn't", `{host: m, from: a@b.example, to: [x]}`, "to[0]"},
		{"a password in the clear", `{host: m, from: a@b.example, security: none, username: u, password: p}`, "security"},
		{"no host", `{from: a@b.example}`, "host"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, k := range Kinds {
				if k.Name != "email" {
					continue
				}
				e, ok := errors.AsType[*config.FieldError](k.Check([]byte(tt.conf)))
				if !ok || e.Key != tt.key {
					t.Errorf("%v, want a mistake in %s", e, tt.key)
				}
			}
		})
	}
}
