package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// site is an installation that runs in this process.
type site struct {
	t    *testing.T
	data string
	base string
	log  *syncBuffer
	stop func()
}

// syncBuffer is what a running instance prints.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// open starts an instance on data and waits until it is ready.
func open(t *testing.T, data, config string, args ...string) *site {
	t.Helper()
	s := &site{t: t, data: data, log: &syncBuffer{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r, w := io.Pipe()
	ended := make(chan struct{})
	all := append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data}, args...)
	if config != "" {
		all = append(all, "--config", file(t, "earshot.yaml", config))
	}
	go func() {
		defer close(ended)
		status := run(ctx, all, strings.NewReader(""), w, s.log)
		w.CloseWithError(fmt.Errorf("ended with status %d", status))
	}()
	s.stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(s.stop)
	lines := bufio.NewScanner(r)
	for s.base == "" && lines.Scan() {
		if m := deskLine.FindStringSubmatch(lines.Text()); m != nil {
			s.base = m[1]
		}
	}
	if s.base == "" {
		t.Fatalf("no desk: %v %s", lines.Err(), s.log)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	s.eventually("ready", func() error {
		if status, body := s.get("/readyz", ""); status != http.StatusOK {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
	return s
}

func (s *site) eventually(what string, f func() error) {
	s.t.Helper()
	(&stage{t: s.t}).eventually(what, f)
}

func (s *site) command(in string, args ...string) (status int, out, errs string) {
	s.t.Helper()
	return cli(s.t, in, append(args, "--data", s.data)...)
}

// must runs a command that has to succeed.
func (s *site) must(in string, args ...string) string {
	s.t.Helper()
	status, out, errs := s.command(in, args...)
	if status != 0 {
		s.t.Fatalf("earshot %s: status %d, %s", strings.Join(args, " "), status, errs)
	}
	return strings.TrimSpace(out)
}

func (s *site) token(scope string) string {
	return s.must("", "token", "create", scope, "--scope", scope)
}

func (s *site) do(method, path, token string, body io.Reader, header ...string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.base+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(raw)
}

func (s *site) get(path, token string) (int, string) { return s.do("GET", path, token, nil) }

func (s *site) post(token, body string, header ...string) (int, string) {
	return s.do("POST", "/api/v1/mentions", token, strings.NewReader(body), append([]string{"Content-Type", "application/json"}, header...)...)
}

// total waits until a search finds n mentions.
func (s *site) total(token, query string, n int) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("%q is found %d times", query, n), func() error {
		status, body := s.get("/api/v1/mentions?limit=1&q="+query, token)
		var got struct{ Total int }
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK || got.Total != n {
			return fmt.Errorf("%d %.200s", status, body)
		}
		return nil
	})
}
