package source

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/endpoints"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

type emailConfig struct {
	Host     string        `yaml:"host" doc:"Name of the IMAP server. One in a private network must be among the addresses that may be reached." required:"true"`
	Port     int           `yaml:"port" doc:"Its port; 993 goes with tls, 143 with the rest."`
	Security string        `yaml:"security" doc:"How the connection is protected: tls begins with it, starttls requires it; none sends everything in the clear and is for servers on this machine." enum:"tls,starttls,none"`
	CAFile   string        `yaml:"ca_file" doc:"PEM file of the authorities that vouch for the server, instead of the system's."`
	Username string        `yaml:"username" doc:"Account, mostly the mailbox's address." required:"true"`
	Auth     string        `yaml:"auth" doc:"How the account is proved: by a password, or by Google's or Microsoft's consent page (XOAUTH2), which their own mailboxes ask for." enum:"password,google,microsoft"`
	Password config.Secret `yaml:"password" doc:"Its password, or an app password."`
	Client   string        `yaml:"client_id" doc:"Client ID of an app of yours at Google or Microsoft."`
	Secret   config.Secret `yaml:"client_secret" doc:"Its client secret."`
	Tenant   string        `yaml:"tenant" doc:"Tenant at Microsoft, by id or domain."`
	Folder   string        `yaml:"folder" doc:"Folder to read. Nothing in it is changed or marked as read." required:"true"`
	Lists    bool          `yaml:"lists" doc:"Also take what was sent to many: mailing lists, newsletters, alerts. Automatic replies and reports of mail systems never are."`
	Backfill time.Duration `yaml:"backfill" doc:"How far the first fetch looks back, in whole days, at most 30d."`
	Poll     time.Duration `yaml:"poll" doc:"How often the folder is looked at besides what the server announces, at least 30s."`
}

var emailDefaults = emailConfig{Port: 993, Security: "tls", Auth: "password", Tenant: "common", Folder: "INBOX", Backfill: 24 * time.Hour, Poll: 5 * time.Minute}

func (c *emailConfig) Validate() error {
	var errs []error
	if c.Port < 1 || c.Port > 65535 {
		errs = append(errs, config.Invalid("port", "%d is not a port", c.Port))
	}
	if c.Security == "none" && !thisMachine(c.Host) {
		errs = append(errs, config.Invalid("security", "a password is sent in the clear to this machine alone; use tls or starttls"))
	}
	switch byPassword := cmp.Or(c.Auth, "password") == "password"; {
	case byPassword && c.Password.IsZero():
		errs = append(errs, config.Invalid("password", "required with auth: password"))
	case !byPassword && c.Client == "":
		errs = append(errs, config.Invalid("client_id", "required with auth: google or microsoft"))
	}
	if c.Backfill > 30*24*time.Hour {
		errs = append(errs, config.Invalid("backfill", "must be at most 30d"))
	}
	return errors.Join(append(errs, atLeast("poll", c.Poll, 30*time.Second))...)
}

func thisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func emailKind() Kind {
	return Kind{
		Kind: config.NewKind("email", "E-mails to a mailbox, by IMAP: what customers write is read as it arrives. Answers are written in your mail program.",
			emailDefaults, openEmail),
		Platform: "email",
		Consents: true,
		Duties:   Duties{MayTrain: true, Deletions: "A mail that is deleted in the mailbox stays here; erased on request."},
	}
}

// email reads a folder over one connection: what is there, then what the server
// announces (IDLE), and every Poll it looks for itself.
type email struct {
	cfg   emailConfig
	deps  Deps
	roots *x509.CertPool
	token func(context.Context) (string, error) // of a consent; nil with a password

	connect, step time.Duration // mailConnect and mailStep
}

func openEmail(c emailConfig, d Deps) (Source, error) {
	s := &email{cfg: c, deps: d, connect: mailConnect, step: mailStep}
	if consent := s.Consent(); consent.ClientID != "" {
		s.token = d.token(consent)
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		s.roots = x509.NewCertPool()
		if !s.roots.AppendCertsFromPEM(pem) {
			return nil, config.Invalid("ca_file", "%s holds no certificate in PEM form", c.CAFile)
		}
	}
	return s, nil
}

const (
	// mailConnect bounds what it takes until the folder is open, and mailStep
	// everything after that but waiting: to ask, to get one mail.
	mailConnect = 30 * time.Second
	mailStep    = 2 * time.Minute
	// maxMail is how much is read of a mail, attachments included. They are not
	// kept; of what lies beyond, not even the names.
	maxMail = 32 << 20
	// maxMailTalk is how much a server may say in a step beside a mail.
	maxMailTalk = 16 << 20
)

// Consent implements [Consenter]; with a password there is none to ask for.
func (s *email) Consent() oauth2.Config {
	secret, _ := s.cfg.Secret.Reveal()
	c := oauth2.Config{ClientID: s.cfg.Client, ClientSecret: secret}
	switch s.cfg.Auth {
	case "google":
		c.Endpoint, c.Scopes = endpoints.Google, []string{"https://mail.google.com/"}
		c.Endpoint.AuthURL += "?access_type=offline&prompt=consent" // or there is no refresh token
	case "microsoft":
		c.Endpoint, c.Scopes = endpoints.AzureAD(s.cfg.Tenant), []string{"https://outlook.office.com/IMAP.AccessAsUser.All", "offline_access"}
	default:
		return oauth2.Config{}
	}
	return c
}

func (s *email) Poll() time.Duration { return 0 }

// emailCursor is the last mail that was handed over. Uids grow within a
// validity; when the server has given a new one, mails since a day before are
// read again, and known by their Message-ID.
type emailCursor struct {
	validity uint32
	uid      imap.UID
	at       int64 // when it arrived, in seconds since 1970
}

func (c emailCursor) String() string { return fmt.Sprintf("%d.%d.%d", c.validity, c.uid, c.at) }

func parseEmailCursor(text string) (c emailCursor, err error) {
	if text == "" {
		return c, nil
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return c, fmt.Errorf("%q is not of this connector", clip(text, 60))
	}
	validity, e1 := strconv.ParseUint(parts[0], 10, 32)
	uid, e2 := strconv.ParseUint(parts[1], 10, 32)
	at, e3 := strconv.ParseInt(parts[2], 10, 64)
	if err := errors.Join(e1, e2, e3); err != nil {
		return c, fmt.Errorf("%q is not of this connector", clip(text, 60))
	}
	return emailCursor{uint32(validity), imap.UID(uid), at}, nil
}

func (s *email) Fetch(ctx context.Context, cursor string) iter.Seq2[Item, error] {
	cur, err := parseEmailCursor(cursor)
	if err != nil {
		return failed(fmt.Errorf("email: cursor: %w", err))
	}
	return func(yield func(Item, error) bool) {
		if err := s.follow(ctx, cur, yield); err != nil {
			yield(Item{}, fmt.Errorf("email: %s: %w", s.cfg.Host, cmp.Or(ctx.Err(), err)))
		}
	}
}

var errMailClosed = outbound.Unreachable.Of(errors.New("the server has closed the connection"))

// follow reads the folder until the connection breaks or the reader stops,
// which gives nil.
func (s *email) follow(ctx context.Context, cur emailCursor, yield func(Item, error) bool) error {
	box := &mailbox{email: s, news: make(chan struct{}, 1)}
	if err := box.open(ctx, &cur); err != nil {
		return box.why(err)
	}
	defer box.client.Close()
	defer context.AfterFunc(ctx, func() { box.client.Close() })()
	for {
		err := box.read(&cur, yield)
		if errors.Is(err, errStopped) {
			return nil
		}
		if err == nil {
			err = box.wait(ctx)
		}
		if err != nil {
			return box.why(err)
		}
	}
}

// mailbox is a connection with the folder open.
type mailbox struct {
	*email
	client *imapclient.Client
	meter  *meter
	news   chan struct{} // the server has announced something
	since  time.Time     // day from which on to read, until there is a uid to go on from
	last   imap.UID      // given out before the folder was opened
}

// meter breaks a connection on which more comes than is wanted: the client reads
// lines of any length.
type meter struct {
	net.Conn
	left atomic.Int64
}

func (m *meter) Read(p []byte) (int, error) {
	left := m.left.Load()
	if left <= 0 {
		return 0, outbound.ErrTooLarge
	}
	n, err := m.Conn.Read(p[:min(int64(len(p)), left)])
	m.left.Add(-int64(n))
	return n, err
}

// why is err with the reason that staff are told.
func (b *mailbox) why(err error) error {
	if b.meter != nil && b.meter.left.Load() <= 0 {
		return outbound.TooLarge.At(b.cfg.Host, fmt.Errorf("%w: %w", outbound.ErrTooLarge, err))
	}
	if _, ours := errors.AsType[mailError](err); ours {
		return outbound.Explain(err, b.deps.Now()).Reason.At(b.cfg.Host, err)
	}
	return ended(b.cfg.Host, err)
}

// within closes the connection if do takes longer than a step may, or if more
// than so many bytes come.
func (b *mailbox) within(bytes int64, do func() error) error {
	b.meter.left.Store(bytes)
	late := time.AfterFunc(b.step, func() { b.client.Close() })
	err := do()
	if !late.Stop() && err != nil {
		return outbound.TimedOut.Of(fmt.Errorf("no answer within %s", b.step))
	}
	return err
}

// open connects and selects the folder. It changes cur where the server counts
// anew.
func (b *mailbox) open(ctx context.Context, cur *emailCursor) error {
	dial, cancel := context.WithTimeout(ctx, b.connect)
	defer cancel()
	raw, err := b.deps.HTTP.DialContext(dial, "tcp", net.JoinHostPort(b.cfg.Host, strconv.Itoa(b.cfg.Port)))
	if err != nil {
		return mailRefused(err)
	}
	conn := &meter{Conn: raw}
	conn.left.Store(maxMailTalk)
	b.meter = conn
	stop := context.AfterFunc(dial, func() { conn.Close() }) // until the folder is open
	defer stop()
	late := func(err error) error {
		if dial.Err() != nil && ctx.Err() == nil {
			return outbound.TimedOut.Of(fmt.Errorf("the folder was not open within %s", b.connect))
		}
		return err
	}
	secure := &tls.Config{ServerName: b.cfg.Host, RootCAs: b.roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"imap"}}
	opts := &imapclient.Options{TLSConfig: secure, UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(*imapclient.UnilateralDataMailbox) {
			select {
			case b.news <- struct{}{}:
			default:
			}
		},
	}}
	switch b.cfg.Security {
	case "starttls":
		if b.client, err = imapclient.NewStartTLS(conn, opts); err != nil {
			conn.Close()
			return late(fmt.Errorf("STARTTLS: %w", mailRefused(err)))
		}
	case "none":
		b.client = imapclient.New(conn, opts)
	default:
		b.client = imapclient.New(tls.Client(conn, secure), opts)
	}
	if err := b.enter(dial, cur); err != nil {
		b.client.Close()
		return late(err)
	}
	return nil
}

func (b *mailbox) enter(ctx context.Context, cur *emailCursor) error {
	if err := b.client.WaitGreeting(); err != nil {
		return fmt.Errorf("greeting: %w", mailRefused(err))
	}
	if err := b.signIn(ctx); err != nil {
		if e, ok := errors.AsType[mailError](err); ok && e.reason == "" { // most servers give no code
			err = outbound.Credentials.Of(err)
		}
		return fmt.Errorf("sign in: %w", err)
	}
	box, err := b.client.Select(b.cfg.Folder, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err = mailRefused(err); err != nil {
		if e, ok := errors.AsType[mailError](err); ok && e.reason == "" {
			err = outbound.NotFound.At(b.cfg.Host, err)
		}
		return fmt.Errorf("folder %q: %w", b.cfg.Folder, err)
	}
	if box.UIDValidity != cur.validity || cur.uid == 0 {
		b.since = b.deps.Now().Add(-b.cfg.Backfill)
		if cur.at > 0 {
			b.since = time.Unix(cur.at, 0).Add(-24 * time.Hour)
		}
		cur.validity, cur.uid = box.UIDValidity, 0
		b.last = max(box.UIDNext, 1) - 1
	}
	return nil
}

func (b *mailbox) signIn(ctx context.Context) error {
	if b.token != nil {
		token, err := b.token(ctx)
		if err != nil {
			return err
		}
		return mailRefused(b.client.Authenticate(&xoauth2{b.cfg.Username, func() string { return token }}))
	}
	password, err := b.cfg.Password.Reveal()
	if err != nil {
		return mailError{err.Error(), true, outbound.Settings}
	}
	return mailRefused(b.client.Login(b.cfg.Username, password).Wait())
}

// xoauth2 is the mechanism that Google and Microsoft speak.
type xoauth2 struct {
	user  string
	token func() string // a function, as those print nothing
}

func (x *xoauth2) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + x.user + "\x01auth=Bearer " + x.token() + "\x01\x01"), nil
}

// Next answers the details of a refusal with nothing, as both want it.
func (x *xoauth2) Next([]byte) ([]byte, error) { return []byte{}, nil }

// read yields the mails after cur.
func (b *mailbox) read(cur *emailCursor, yield func(Item, error) bool) error {
	for len(b.news) > 0 {
		<-b.news
	}
	criteria := &imap.SearchCriteria{}
	if cur.uid == 0 {
		criteria.Since = b.since
	} else {
		var after imap.UIDSet
		after.AddRange(cur.uid+1, 0)
		criteria.UID = []imap.UIDSet{after}
	}
	var uids []imap.UID
	err := b.within(maxMailTalk, func() error {
		found, err := b.client.UIDSearch(criteria, nil).Wait()
		if err == nil {
			uids = found.AllUIDs()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("search: %w", mailRefused(err))
	}
	slices.Sort(uids)
	for _, uid := range uids {
		if uid <= cur.uid { // n:* always finds the last one
			continue
		}
		item := Item{}
		if err := b.within(maxMail+maxMailTalk, func() (err error) { item, err = b.fetch(uid, cur); return err }); err != nil {
			return err
		}
		cur.uid = uid
		item.Cursor = cur.String()
		if !yield(item, nil) {
			return errStopped
		}
	}
	// What else was there is too old. What is moved here later is new.
	if b.last > cur.uid {
		cur.uid = b.last
		if !yield(Item{Cursor: cur.String()}, nil) {
			return errStopped
		}
	}
	return nil
}

// fetch reads one mail, and notes in cur when it arrived. A mail that is gone,
// or that nobody has to see, gives an item without a post.
func (b *mailbox) fetch(uid imap.UID, cur *emailCursor) (Item, error) {
	body := &imap.FetchItemBodySection{Peek: true, Partial: &imap.SectionPartial{Size: maxMail}}
	cmd := b.client.Fetch(imap.UIDSetNum(uid), &imap.FetchOptions{UID: true, InternalDate: true, BodySection: []*imap.FetchItemBodySection{body}})
	var (
		l       *letter
		bad     error
		over    bool  // it is longer than we asked for
		cut     error // the connection broke within it
		arrived time.Time
	)
reading:
	for data := cmd.Next(); data != nil; data = cmd.Next() {
		for item := data.Next(); item != nil; item = data.Next() {
			switch item := item.(type) {
			case imapclient.FetchItemDataInternalDate:
				arrived = item.Time.UTC()
			case imapclient.FetchItemDataBodySection:
				if item.Literal == nil || l != nil {
					continue
				}
				text := &literal{r: item.Literal, left: item.Literal.Size()}
				l, bad = readMail(io.LimitReader(text, maxMail))
				io.Copy(io.Discard, text) // keep in step with the server
				over = item.Literal.Size()-text.left > maxMail
				if cut = text.cut(); cut != nil {
					break reading // the client reads on by itself, and would with us
				}
			}
		}
	}
	err := cut
	if err == nil {
		err = cmd.Close()
	}
	// A server that sends more of a mail than we want would send it again and
	// again: what is known of it is taken, also where the connection breaks then.
	if err != nil && !over {
		return Item{}, fmt.Errorf("mail %d: %w", uid, mailRefused(err))
	}
	if !arrived.IsZero() {
		cur.at = arrived.Unix()
	}
	name := fmt.Sprintf("%d.%d", cur.validity, uid)
	switch {
	case l == nil && bad == nil: // deleted since
	case bad != nil:
		b.deps.skip("email", name, bad)
	case l.skip != "":
		b.deps.skip("email", name, errors.New(l.skip))
	case l.many && !b.cfg.Lists:
		b.deps.skip("email", name, errors.New("it was sent to many"))
	default:
		return Item{Post: b.post(l, arrived)}, nil
	}
	return Item{}, nil
}

// literal is what a server announced with its length. It is not read again once
// reading has failed.
type literal struct {
	r    io.Reader
	left int64
	err  error
}

func (l *literal) Read(p []byte) (n int, err error) {
	if l.err != nil {
		return 0, l.err
	}
	n, l.err = l.r.Read(p)
	l.left -= int64(n)
	return n, l.err
}

// cut is why it ended before its end, or nil.
func (l *literal) cut() error {
	switch {
	case l.left == 0:
		return nil
	case l.err == io.EOF:
		return outbound.Unreachable.Of(io.ErrUnexpectedEOF)
	}
	return l.err
}

// post dates l: by itself, unless that is later than it arrived, or much
// earlier, which clocks of senders are.
func (b *mailbox) post(l *letter, arrived time.Time) mention.Post {
	p := l.post
	now := b.deps.Now().UTC()
	arrived = cmp.Or(arrived, now)
	p.PublishedAt = arrived
	if d := arrived.Sub(l.date); !l.date.IsZero() && d > -5*time.Minute && d < 7*24*time.Hour {
		p.PublishedAt = l.date
	}
	p.SeenAt, p.Intake = now, mention.Live
	return p
}

// wait returns when there may be news: the server says so, or it is time to
// look.
func (b *mailbox) wait(ctx context.Context) error {
	look := time.NewTimer(b.cfg.Poll)
	defer look.Stop()
	var idle *imapclient.IdleCommand
	if b.client.Caps().Has(imap.CapIdle) {
		err := b.within(maxMailTalk, func() (err error) { idle, err = b.client.Idle(); return err })
		if err != nil {
			return fmt.Errorf("idle: %w", mailRefused(err))
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-b.client.Closed():
		return errMailClosed
	case <-b.news:
	case <-look.C:
	}
	if idle == nil {
		return b.within(maxMailTalk, func() error { return mailRefused(b.client.Noop().Wait()) })
	}
	// The timer also renews the IDLE, within the 29 minutes a server allows.
	return b.within(maxMailTalk, func() error {
		if err := idle.Close(); err != nil {
			return mailRefused(err)
		}
		return mailRefused(idle.Wait())
	})
}

// mailError is a failure in our own words: a server's may repeat the password.
type mailError struct {
	text      string
	permanent bool
	reason    outbound.Reason
}

func (e mailError) Error() string             { return e.text }
func (e mailError) Permanent() bool           { return e.permanent }
func (e mailError) Trouble() outbound.Trouble { return outbound.Trouble{Reason: e.reason} }

// mailReasons are what a server's response codes mean (RFC 5530).
var mailReasons = map[imap.ResponseCode]outbound.Reason{
	imap.ResponseCodeAuthenticationFailed: outbound.Credentials, imap.ResponseCodeExpired: outbound.Credentials,
	imap.ResponseCodeAuthorizationFailed: outbound.Forbidden, imap.ResponseCodeNoPerm: outbound.Forbidden,
	imap.ResponseCodeNonExistent: outbound.NotFound, imap.ResponseCodeLimit: outbound.Limited,
	imap.ResponseCodeUnavailable: outbound.ServerError, imap.ResponseCodeInUse: outbound.ServerError, imap.ResponseCodeServerBug: outbound.ServerError,
}

// mailRefused says whether err may pass. What the server refuses for who we are
// or what we ask won't, unless it says that it is busy.
func mailRefused(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, outbound.ErrPrivate) {
		return fmt.Errorf("%w: %w", mailError{"it may not be reached", true, outbound.Blocked}, err)
	}
	e, ok := errors.AsType[*imap.Error](err)
	if !ok {
		return err
	}
	text := "the server refuses"
	if e.Code != "" {
		text += ": " + clip(line(string(e.Code)), 60)
	}
	passes := e.Type == imap.StatusResponseTypeBye || slices.Contains([]imap.ResponseCode{
		imap.ResponseCodeUnavailable, imap.ResponseCodeInUse, imap.ResponseCodeLimit, imap.ResponseCodeServerBug, imap.ResponseCodeContactAdmin,
	}, e.Code)
	return mailError{text, !passes, mailReasons[e.Code]}
}
