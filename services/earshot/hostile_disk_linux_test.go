package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestE2EHostileDisk fills the disk under the running program, frees it, and
// kills the program: what it has accepted is there.
func TestE2EHostileDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("a small disk can't be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	stage := newStage(t)
	stage.data = filepath.Join(disk, "data")
	ballast := filepath.Join(disk, "ballast")
	fill(t, disk, ballast, 1<<20)
	status, _, errs := cli(t, "", "serve", "--listen", "127.0.0.1:0", "--data", stage.data)
	if status != 1 {
		t.Errorf("starting on a full disk: status %d", status)
	}
	says(t, errs, stage.data, "no space left", "8 MiB")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	stage.start("serve", "--listen", "127.0.0.1:0")
	stage.command(acme, "apply", "-")
	token := func(scope string) string {
		return strings.TrimSpace(stage.command("", "token", "create", scope, "--scope", scope))
	}
	intake, read := token("intake"), token("read")
	s := &site{t: t, data: stage.data, base: stage.base}

	accepted := 0
	send := func() (int, string) {
		noise := make([]byte, 60<<10) // that can't be compressed
		_, _ = rand.Read(noise)
		began := time.Now()
		status, body := s.post(intake, fmt.Sprintf(`{"id":"%d","text":"acme %s"}`, accepted, base64.StdEncoding.EncodeToString(noise)))
		if status == http.StatusAccepted {
			accepted++
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("an answer took %v", took)
		}
		return status, body
	}
	fill(t, disk, ballast, 4<<20)
	status, body := send()
	for n := 0; status == http.StatusAccepted && n < 500; n++ {
		status, body = send()
	}
	if status != http.StatusServiceUnavailable {
		t.Errorf("on a full disk: %d %s", status, body)
	}
	says(t, body, "send it again later")
	if status, body := s.get("/api/v1/mentions?limit=1", read); status != http.StatusOK {
		t.Errorf("reading on a full disk: %d %s", status, body)
	}
	t.Logf("%d mentions were accepted before the disk was full", accepted)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	stage.eventually("it takes mentions again", func() error {
		if status, body := send(); status != http.StatusAccepted {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
	s.total(read, "acme", accepted)

	stage.kill()
	stage.start("serve", "--listen", "127.0.0.1:0")
	s.base = stage.base
	s.total(read, "acme", accepted)
	if out := stage.command("", "dead", "list"); out != "" {
		t.Errorf("mentions were given up: %s", out)
	}
}

// fill leaves only so many bytes of a disk.
func fill(t *testing.T, disk, name string, left int64) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(disk, &st); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.CopyN(f, endless{}, int64(st.Bavail)*int64(st.Bsize)-left); err != nil {
		t.Fatal(err)
	}
}
