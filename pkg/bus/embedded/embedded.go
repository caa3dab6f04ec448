// Package embedded runs a NATS server with JetStream inside the process. It is
// the only importer of nats-server.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
)

// DefaultSync is how often the server's files are forced to disk unless Sync
// says otherwise. A kill of the process loses nothing; a power cut loses at most
// about this much.
const DefaultSync = time.Second

// Option changes how a server runs.
type Option func(*server.Options)

// Sync forces files to disk every d; 0 forces every message before it is
// acknowledged.
func Sync(d time.Duration) Option {
	return func(o *server.Options) { o.SyncInterval, o.SyncAlways = d, d == 0 }
}

// Socket is the name of the unix socket in the data folder, by which the
// command line reaches a running instance.
const Socket = "earshot.sock"

// ErrInUse says that another process runs on the same folder.
var ErrInUse = errors.New("another Earshot is running on this data folder")

// Server is a running embedded server. It listens on no port; processes of the
// same user reach it through the unix socket in its folder.
type Server struct {
	*server.Server
	lock *flock.Flock
	unix net.Listener
	log  *slog.Logger
	wg   sync.WaitGroup

	failed chan struct{} // a stream could not be written
	full   atomic.Bool
	stop   chan struct{}
	once   sync.Once
}

// Start runs a server on dir, which it creates if missing. It fails with
// [ErrInUse] when another process has it.
func Start(dir string, log *slog.Logger, opts ...Option) (*Server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w; name one that can be written with --data", err)
	}
	s := &Server{lock: flock.New(filepath.Join(dir, "lock")), log: log, failed: make(chan struct{}, 1), stop: make(chan struct{})}
	got, err := s.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("data folder: %w; name one that can be written with --data", err)
	}
	if !got {
		return nil, fmt.Errorf("%w: %s; stop it, or give this one another folder with --data", ErrInUse, filepath.Dir(dir))
	}
	if err := room(dir); err != nil {
		s.Stop()
		return nil, fmt.Errorf("data folder: %w; there must be room for at least %d MiB", err, maxPayload>>20)
	}
	if err := s.start(dir, opts); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(dir string, opts []Option) error {
	o := &server.Options{
		ServerName: "earshot", DontListen: true, NoSigs: true,
		JetStream: true, StoreDir: dir, SyncInterval: DefaultSync,
		JetStreamMaxMemory: maxMemory, JetStreamMaxStore: maxStore, MaxPayload: maxPayload,
		DisableJetStreamBanner: true,
	}
	for _, set := range opts {
		set(o)
	}
	srv, err := server.NewServer(o)
	if err != nil {
		return fmt.Errorf("embedded bus: %w", err)
	}
	srv.SetLoggerV2(logger{s}, false, false, false)
	s.Server = srv
	go srv.Start()
	if !srv.ReadyForConnections(60 * time.Second) {
		return errors.New("embedded bus: not ready after 60 s")
	}
	s.wg.Go(func() { s.heal(dir, o) })
	return s.listen(filepath.Join(dir, Socket))
}

// listen carries the NATS protocol from the unix socket to the server.
func (s *Server) listen(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("embedded bus: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err != nil {
		// Paths of sockets are short by nature (104 to 108 bytes): the
		// instance works without, only the command line can't reach it.
		s.log.Warn("no control socket", "path", path, "error", err)
		return nil
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("embedded bus: %w", err), l.Close())
	}
	s.unix = l
	s.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.carry(conn)
		}
	})
	return nil
}

func (s *Server) carry(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // nothing to be done
	inner, err := s.InProcessConn()
	if err != nil {
		return
	}
	defer inner.Close() //nolint:errcheck // nothing to be done
	done := make(chan struct{}, 2)
	for _, p := range [][2]net.Conn{{conn, inner}, {inner, conn}} {
		go func() {
			_, _ = io.Copy(p[0], p[1])
			done <- struct{}{}
		}()
	}
	<-done
}

// Stop shuts the server down and releases the folder. Calling it twice is fine.
func (s *Server) Stop() {
	s.once.Do(func() { close(s.stop) })
	if s.unix != nil {
		_ = s.unix.Close()
	}
	if s.Server != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
	s.wg.Wait()
	_ = s.lock.Unlock()
}

// Dialer connects to the running instance of a data folder through its socket.
type Dialer string

// Dial implements nats.CustomDialer; the address is the folder's socket.
func (dir Dialer) Dial(_, _ string) (net.Conn, error) {
	return net.DialTimeout("unix", filepath.Join(string(dir), Socket), 2*time.Second)
}

// Running tells whether an instance answers on dir's socket.
func Running(dir string) bool {
	conn, err := Dialer(dir).Dial("", "")
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// logger hands the server's notices down one level: they are ours to read, not
// an operator's.
type logger struct{ s *Server }

func (l logger) Noticef(f string, a ...any) { l.s.log.Debug(fmt.Sprintf(f, a...)) }
func (l logger) Warnf(f string, a ...any)   { l.s.log.Warn("bus: " + fmt.Sprintf(f, a...)) }
func (l logger) Fatalf(f string, a ...any)  { l.s.log.Error("bus: " + fmt.Sprintf(f, a...)) }
func (l logger) Debugf(f string, a ...any)  { l.s.log.Debug(fmt.Sprintf(f, a...)) }
func (l logger) Tracef(string, ...any)      {}

func (l logger) Errorf(f string, a ...any) {
	text := fmt.Sprintf(f, a...)
	l.s.log.Error("bus: " + text)
	if strings.Contains(text, writeError) {
		l.s.again()
	}
}
