package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
	"github.com/earshot/earshot/pkg/outbound"
	"github.com/earshot/earshot/pkg/text"
)

type emailConfig struct {
	Host     string        `yaml:"host" doc:"Name of the mail server. One in a private network must be among the addresses that may be reached." required:"true"`
	Port     int           `yaml:"port" doc:"Port of the mail server; 465 goes with tls, 587 or 25 with the rest."`
	Security string        `yaml:"security" doc:"How the connection is protected: starttls requires it, tls begins with it, none sends in the clear and is for relays on this machine." enum:"starttls,tls,none"`
	CAFile   string        `yaml:"ca_file" doc:"PEM file of the authorities that vouch for the server, instead of the system's."`
	Username string        `yaml:"username" doc:"Account at the mail server; none if empty."`
	Password config.Secret `yaml:"password" doc:"Its password."`
	From     string        `yaml:"from" doc:"Sender, as an address or as Name <address>." required:"true"`
	To       []string      `yaml:"to" doc:"Fixed recipients. Empty sends to the person on the ladder."`
	Quote    bool          `yaml:"quote" doc:"Quote the post and name its author."`
}

var emailDefaults = emailConfig{Port: 587, Security: "starttls", Quote: true}

// Validate checks what the tags can't say.
func (c emailConfig) Validate() error {
	var errs []error
	if c.Port < 1 || c.Port > 65535 {
		errs = append(errs, config.Invalid("port", "%d is not a port", c.Port))
	}
	if _, err := netmail.ParseAddress(c.From); err != nil {
		errs = append(errs, config.Invalid("from", "%q is not an address", c.From))
	}
	for i, to := range c.To {
		if _, err := netmail.ParseAddress(to); err != nil {
			errs = append(errs, config.Invalid(fmt.Sprintf("to[%d]", i), "%q is not an address", to))
		}
	}
	if c.Security == "none" && c.Username != "" {
		errs = append(errs, config.Invalid("security", "a password is not sent in the clear; use starttls or tls, or leave username empty"))
	}
	return errors.Join(errs...)
}

// email sends plain text. The Message-ID is that of the page, so that mail
// programs drop a repeat, and refers to the escalation, so that they show its
// pages as one thread.
type email struct {
	cfg    emailConfig
	deps   Deps
	roots  *x509.CertPool
	domain string // of our Message-IDs
}

func openEmail(c emailConfig, d Deps) (Notifier, error) {
	from, err := netmail.ParseAddress(c.From)
	if err != nil {
		return nil, config.Invalid("from", "%q is not an address", c.From)
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	n := &email{cfg: c, deps: d, domain: domain}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		n.roots = x509.NewCertPool()
		if !n.roots.AppendCertsFromPEM(pem) {
			return nil, config.Invalid("ca_file", "%s holds no certificate in PEM form", c.CAFile)
		}
	}
	return n, nil
}

func (n *email) Personal() bool { return len(n.cfg.To) == 0 }

func (n *email) Notify(ctx context.Context, p Page) (Receipt, error) {
	msg, err := n.message(p)
	if err != nil {
		return Receipt{}, fmt.Errorf("email: %w", err)
	}
	return Receipt{}, n.send(ctx, msg)
}

// Mail implements [Mailer]; it goes to the person, whatever recipients are fixed
// for pages.
func (n *email) Mail(ctx context.Context, l Letter) error {
	to, err := addressOf(l.To)
	if err != nil {
		return fmt.Errorf("email: %w", err)
	}
	msg, err := n.blank([]string{to}, l.Key, clean(l.Subject))
	if err != nil {
		return fmt.Errorf("email: %w", err)
	}
	msg.SetBodyString(mail.TypeTextPlain, l.Text)
	return n.send(ctx, msg)
}

func (n *email) send(ctx context.Context, msg *mail.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	client, err := n.client(ctx)
	if err != nil {
		return fmt.Errorf("email: %w", err)
	}
	err = client.DialAndSendWithContext(ctx, msg)
	// What goes wrong after the server took the message, at parting, is no
	// reason to send it twice.
	if err == nil || msg.IsDelivered() {
		return nil
	}
	return fmt.Errorf("email: %s: %w", net.JoinHostPort(n.cfg.Host, strconv.Itoa(n.cfg.Port)), judgeMail(ctx, err))
}

func addressOf(r Recipient) (string, error) {
	address, err := netmail.ParseAddress(r.Email)
	if err != nil {
		return "", refuse("the recipient has no valid e-mail address")
	}
	address.Name = clean(r.Name)
	return address.String(), nil
}

// blank is a message without its text.
func (n *email) blank(to []string, key, subject string) (*mail.Msg, error) {
	msg := mail.NewMsg(mail.WithEncoding(mail.EncodingB64), mail.WithNoDefaultUserAgent())
	if err := msg.From(n.cfg.From); err != nil {
		return nil, refuse("sender: %w", err)
	}
	if err := msg.To(to...); err != nil {
		return nil, refuse("a recipient's address is not valid")
	}
	msg.Subject(subject)
	msg.SetDateWithValue(n.deps.now())
	msg.SetMessageIDWithValue(n.id(key))
	// Out-of-office answers would go to nobody.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	return msg, nil
}

func (n *email) message(p Page) (*mail.Msg, error) {
	m := compose(p, n.cfg.Quote)
	to := n.cfg.To
	if len(to) == 0 {
		address, err := addressOf(p.To)
		if err != nil {
			return nil, err
		}
		to = []string{address}
	}
	msg, err := n.blank(to, p.Key, m.Subject)
	if err != nil {
		return nil, err
	}
	thread := "<" + n.id(p.Escalation) + ">"
	msg.SetGenHeader(mail.HeaderInReplyTo, thread)
	msg.SetGenHeader(mail.HeaderReferences, thread)
	if p.Action == escalation.Trigger && p.Urgency == escalation.Wake && !p.Test {
		msg.SetImportance(mail.ImportanceHigh)
	}
	msg.SetBodyString(mail.TypeTextPlain, m.plain())
	return msg, nil
}

// id makes a Message-ID's inside of key.
func (n *email) id(key string) string {
	key = strings.Map(func(r rune) rune {
		if r < '!' || r > '~' || strings.ContainsRune(`<>@()[],;:\"`, r) {
			return '-'
		}
		return r
	}, key)
	return "earshot." + key + "@" + n.domain
}

// client returns a client for one message. Its connection ends with ctx,
// whatever the server does.
func (n *email) client(ctx context.Context) (*mail.Client, error) {
	secure := &tls.Config{ServerName: n.cfg.Host, RootCAs: n.roots, MinVersion: tls.VersionTLS12}
	dial := func(_ context.Context, network, addr string) (net.Conn, error) {
		conn, err := n.deps.Client.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { conn.Close() })
		if n.cfg.Security != "tls" {
			return conn, nil
		}
		wrapped := tls.Client(conn, secure)
		if err := wrapped.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return wrapped, nil
	}
	opts := []mail.Option{
		mail.WithPort(n.cfg.Port), mail.WithTimeout(Timeout), mail.WithDialContextFunc(dial), mail.WithTLSConfig(secure),
		mail.WithTLSPolicy(mail.TLSMandatory),
	}
	if n.cfg.Security != "starttls" {
		opts = append(opts, mail.WithTLSPolicy(mail.NoTLS))
	}
	if n.cfg.Username != "" {
		password, err := n.cfg.Password.Reveal()
		if err != nil {
			return nil, refusal{err}
		}
		opts = append(opts, mail.WithUsername(n.cfg.Username), mail.WithPassword(password), mail.WithOpportunisticSMTPAuth(
			mail.SMTPAuthSCRAMSHA256PLUS, mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin, mail.SMTPAuthCramMD5))
	}
	client, err := mail.NewClient(n.cfg.Host, opts...)
	if err != nil {
		return nil, refuse("mail server: %w", err)
	}
	return client, nil
}

// mailError is a failure in our own words: a server's may hold addresses.
type mailError struct {
	text      string
	permanent bool
	reason    outbound.Reason
}

func (e mailError) Error() string             { return e.text }
func (e mailError) Permanent() bool           { return e.permanent }
func (e mailError) Trouble() outbound.Trouble { return outbound.Trouble{Reason: e.reason} }

// replied is what a mail server's reply means (RFC 5321, 4.2.3; RFC 4954, 6).
func replied(code int) outbound.Reason {
	switch {
	case code == 530 || code == 534 || code == 535 || code == 538:
		return outbound.Credentials
	case code/100 == 4:
		return outbound.ServerError
	}
	return outbound.Other
}

// judgeMail says whether err may pass. A reply in the 500s won't, nor will an
// address that may not be reached, nor a server that lacks STARTTLS or AUTH.
func judgeMail(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("no answer in time: %w", cause)
	}
	if errors.Is(err, outbound.ErrPrivate) {
		return refusal{err}
	}
	if e, ok := errors.AsType[*mail.SendError](err); ok {
		reply := strings.TrimSpace(strconv.Itoa(e.ErrorCode()) + " " + e.EnhancedStatusCode())
		return mailError{fmt.Sprintf("%s: reply %s", e.Reason, reply), e.ErrorCode()/100 == 5, replied(e.ErrorCode())}
	}
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		return mailError{fmt.Sprintf("refused before the message: reply %d", e.Code), e.Code/100 == 5, replied(e.Code)}
	}
	return mailError{text.Cut(err.Error(), 200), strings.Contains(err.Error(), "does not support"), outbound.Explain(err, time.Time{}).Reason}
}
