// Package outbound is the only way to the outside: the HTTP client of every
// connector and notifier.
//
// It refuses private addresses at the moment of dialling, bounds size and time
// of answers, goes easy on each host, and judges failures once: its errors say
// whether to try again, when, or never (see [Error]).
package outbound

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// Options configures a [Client]. Zero values mean the defaults.
type Options struct {
	// UserAgent is sent with every request that sets none. Default "Earshot".
	UserAgent string
	// Allow lists what may be reached although it is private: a host
	// ("wiki.example"), a host with port ("127.0.0.1:9000"), an address or a
	// network ("10.1.0.0/16"). Default: nothing.
	Allow []string
	// Proxy is an HTTP proxy for all requests; the environment's proxies are
	// not used. The guard then sees host names only as far as they are
	// addresses: the proxy itself must refuse private targets.
	Proxy *url.URL
	// MaxBody is the largest body read by [Client.Do], in bytes after
	// decompression. Default 10 MiB.
	MaxBody int64
	// Timeout bounds a whole request. Default 30 s.
	Timeout time.Duration
	// IdleTimeout bounds the silence before and within an answer. Default 15 s.
	IdleTimeout time.Duration
	// MaxRedirects is the number of redirects followed. Default 5.
	MaxRedirects int
	// Rate and Burst limit the requests to each host, per second. Default 5
	// and 10.
	Rate  float64
	Burst int
	// Concurrency is the number of requests to one host at a time. Default 4.
	Concurrency int
	// MaxPause is the longest pause that is kept when a host asks for one. Default,
	// and at most, 24 h.
	MaxPause time.Duration
}

// Client is safe for concurrent use.
type Client struct {
	opts   Options
	guard  *guard
	hosts  *hosts
	http   *http.Client // for Do
	stream *http.Client // for streams
}

// New returns a client.
func New(o Options) (*Client, error) {
	o.UserAgent = cmp.Or(o.UserAgent, "Earshot")
	o.MaxBody = cmp.Or(o.MaxBody, 10<<20)
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 15*time.Second)
	o.MaxRedirects = cmp.Or(o.MaxRedirects, 5)
	o.Rate = cmp.Or(o.Rate, 5)
	o.Burst = cmp.Or(o.Burst, 10)
	o.Concurrency = cmp.Or(o.Concurrency, 4)
	o.MaxPause = min(cmp.Or(o.MaxPause, maxPause), maxPause)
	g, err := newGuard(o.Allow, o.Proxy)
	if err != nil {
		return nil, err
	}
	c := &Client{opts: o, guard: g, hosts: newHosts(o)}
	t := &transport{guard: g, agent: o.UserAgent, next: &http.Transport{
		DialContext:            g.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    o.Concurrency,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}}
	if o.Proxy != nil {
		t.next.Proxy = http.ProxyURL(o.Proxy)
	}
	c.http = &http.Client{Transport: t, CheckRedirect: c.redirect}
	c.stream = &http.Client{Transport: t, CheckRedirect: c.redirect}
	return c, nil
}

// Within returns a client that differs from c in how long a whole request may
// take, silence included, and in how large an answer may be. Hosts, and the
// pauses they asked for, are shared.
func (c *Client) Within(timeout time.Duration, maxBody int64) *Client {
	other := *c
	other.opts.Timeout, other.opts.IdleTimeout, other.opts.MaxBody = timeout, timeout, maxBody
	return &other
}

// Pausing returns a client that differs from c in the longest pause that it keeps
// when a host asks for one. Hosts, and the pauses they asked for, are shared.
func (c *Client) Pausing(most time.Duration) *Client {
	other := *c
	other.opts.MaxPause = min(most, maxPause)
	return &other
}

// Response is an answer with its body read. Its status is 2xx or 304.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// URL is where the answer came from, after redirects.
	URL *url.URL
	// Moved is the new address when every redirect on the way was permanent
	// (301 or 308); empty otherwise.
	Moved string
}

// Unreadable is err, which says why r is not what it should be, with whence it came.
func (r *Response) Unreadable(err error) error {
	return Unreadable.At(r.URL.Host, fmt.Errorf("%s: %w", Redact(r.URL), err))
}

// Do sends req and reads the whole answer. Every failure, also a status other
// than 2xx and 304, is an [*Error]; only an error of ctx itself is returned
// wrapped as it is. Redirects are followed for GET and HEAD alone; whatever has
// another method is sent once.
//
// A request to a host that has asked for a pause fails at once, with the rest
// of the pause.
func (c *Client) Do(ctx context.Context, req *http.Request) (*Response, error) {
	h, release, err := c.hosts.enter(ctx, req)
	if err != nil {
		return nil, c.failure(ctx, ctx, req, err, false)
	}
	defer release()

	call, cancel := context.WithTimeoutCause(ctx, c.opts.Timeout, errTimeout{"no complete answer", c.opts.Timeout})
	defer cancel()
	call, stop := context.WithCancelCause(call)
	defer stop(nil)
	idle := time.AfterFunc(c.opts.IdleTimeout, func() { stop(errTimeout{"silence", c.opts.IdleTimeout}) })
	defer idle.Stop()

	var tr trail
	var reached atomic.Bool
	traced := httptrace.WithClientTrace(context.WithValue(call, trailKey{}, &tr), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { reached.Store(true) },
	})
	sent := req.WithContext(traced)
	if sent.Method != http.MethodGet && sent.Method != http.MethodHead {
		sent.GetBody = nil // or net/http may send it twice
	}
	resp, err := c.http.Do(sent)
	if err != nil {
		return nil, c.failure(ctx, call, req, err, reached.Load())
	}
	defer resp.Body.Close()
	ok := resp.StatusCode/100 == 2 || resp.StatusCode == http.StatusNotModified
	limit := c.opts.MaxBody
	if !ok {
		limit = maxRefusal
	}
	body, err := io.ReadAll(io.LimitReader(&watched{resp.Body, idle, c.opts.IdleTimeout}, limit+1))
	switch {
	case !ok:
		e := refusal(req, resp, body[:min(len(body), maxRefusal)])
		e.after = min(e.after, c.opts.MaxPause)
		h.hold(resp.Request, e.after)
		return nil, e
	case err != nil:
		return nil, c.failure(ctx, call, req, err, true)
	case int64(len(body)) > limit:
		return nil, &Error{Method: req.Method, URL: Redact(req.URL), Status: resp.StatusCode, Reached: true, permanent: true,
			err: fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)}
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: body, URL: resp.Request.URL, Moved: tr.moved}, nil
}

// Get is Do for a GET of address with the given header, which may be nil.
func (c *Client) Get(ctx context.Context, address string, header http.Header) (*Response, error) {
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil, &Error{Method: http.MethodGet, URL: "address", permanent: true, err: errRequest("not a valid address")}
	}
	if header != nil {
		req.Header = header.Clone()
	}
	return c.Do(ctx, req)
}

// HTTPClient returns a client for streams and for libraries that want one. It
// dials through the same guard, but bounds neither the body nor the time, and
// judges no status: its user does.
func (c *Client) HTTPClient() *http.Client { return c.stream }

// DialContext dials addr through the guard, for protocols other than HTTP.
func (c *Client) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return c.guard.dial(ctx, network, addr)
}

// transport adds the user agent and refuses what a proxy would dial for us.
type transport struct {
	guard *guard
	agent string
	next  *http.Transport
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.guard.url(req.URL); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	if req.Header.Get("User-Agent") == "" {
		req = req.Clone(req.Context())
		req.Header.Set("User-Agent", t.agent)
	}
	return t.next.RoundTrip(req)
}

func (t *transport) CloseIdleConnections() { t.next.CloseIdleConnections() }

// trail follows the redirects of one request.
type trail struct {
	moved     string
	temporary bool
}

type trailKey struct{}

func (c *Client) redirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet && first.Method != http.MethodHead {
		return http.ErrUseLastResponse
	}
	if len(via) > c.opts.MaxRedirects {
		return errRedirect(fmt.Sprintf("more than %d redirects", c.opts.MaxRedirects))
	}
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme == "http" && req.Header.Get("Authorization") != "" {
		return errRedirect("redirected from https to http with a token")
	}
	if tr, ok := req.Context().Value(trailKey{}).(*trail); ok {
		status := req.Response.StatusCode
		tr.temporary = tr.temporary || status != http.StatusMovedPermanently && status != http.StatusPermanentRedirect
		if !tr.temporary {
			tr.moved = req.URL.String()
		} else {
			tr.moved = ""
		}
	}
	return nil
}

// watched restarts the idle timer with every piece that arrives.
type watched struct {
	r    io.Reader
	idle *time.Timer
	d    time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.idle.Reset(w.d)
	}
	return n, err
}
