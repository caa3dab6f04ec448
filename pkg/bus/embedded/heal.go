package embedded

import (
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	maxMemory  = 64 << 20
	maxPayload = 8 << 20
	// maxStore is out of reach on purpose. By default the server takes three
	// quarters of what the disk has free when it starts, and then refuses to
	// open streams that were there before on a disk that has filled up since.
	maxStore = 1 << 60

	// writeError is how the server's log tells that a stream's file could not
	// be written. It tells it nowhere else: the health check and Jsz look at no
	// store's error, a store can't be had from outside, and a refused publish
	// has the same code (10077) as one beyond a stream's limit, which is no
	// fault. A test holds the text to the server that is built in.
	writeError = "Critical write error"
	probeEvery = time.Second
)

// heal starts JetStream anew after its files could not be written, as on a full
// disk: a stream that met a write error takes nothing more until it is read
// again, even when there is room. Until then publishing fails, and what was
// acknowledged before is on disk.
func (s *Server) heal(dir string, o *server.Options) {
	for {
		select {
		case <-s.stop:
			return
		case <-s.failed:
		}
		s.full.Store(true)
		s.log.Error("the data folder can't be written; is the disk full? Nothing is taken until there is room, nothing that was taken is lost", "folder", filepath.Dir(dir))
		for room(dir) != nil {
			select {
			case <-s.stop:
				return
			case <-time.After(probeEvery):
			}
		}
		if err := s.reopen(dir, o); err != nil {
			s.log.Error("bus not opened again; trying again", "error", err)
			s.again()
			continue
		}
		s.full.Store(false)
		s.log.Info("the data folder can be written again; the bus goes on")
	}
}

// Full tells that the data folder can't be written for now.
func (s *Server) Full() bool { return s.full.Load() }

// reopen reads all streams from disk again. Clients connect anew, or they would
// wait half a minute before they ask for messages again.
func (s *Server) reopen(dir string, o *server.Options) error {
	if err := s.ShutdownJetStream(); err != nil {
		return err
	}
	// What failed meanwhile is mended by the same step.
	select {
	case <-s.failed:
	default:
	}
	if err := s.EnableJetStream(&server.JetStreamConfig{
		StoreDir: dir, MaxMemory: maxMemory, MaxStore: maxStore,
		SyncInterval: o.SyncInterval, SyncAlways: o.SyncAlways, Strict: true, CompressOK: true,
	}); err != nil {
		return err
	}
	conns, err := s.Connz(nil)
	if err != nil {
		return err
	}
	for _, c := range conns.Conns {
		if err := s.DisconnectClientByID(c.Cid); err != nil {
			s.log.Debug("client not disconnected", "client", c.Name, "error", err)
		}
	}
	return nil
}

// again has heal run once more.
func (s *Server) again() {
	select {
	case s.failed <- struct{}{}:
	default:
	}
}

// room tries whether the largest message could be written.
func room(dir string) error {
	name := filepath.Join(dir, "room")
	err := os.WriteFile(name, make([]byte, maxPayload), 0o600)
	if removed := os.Remove(name); err == nil {
		err = removed
	}
	return err
}
