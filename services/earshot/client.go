package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/earshot/earshot/pkg/app"
	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/bus/embedded"
	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/settings"
)

// link is how a command reaches an installation: a running instance through its
// socket, a bus by its address, or a data folder that nobody uses right now.
type link struct {
	bus      *bus.Conn
	settings *settings.Store
	close    func()
}

// reach opens a link. When nobody runs on the data folder, the command runs the
// services it needs itself, for as long as it takes.
func (c *call) reach(ctx context.Context, need ...app.Service) (*link, error) {
	cfg, err := c.file()
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(cfg.Data, "bus")
	log := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if cfg.Bus.URL == "" && !embedded.Running(folder) {
		if _, err := os.Stat(folder); err != nil {
			return nil, fmt.Errorf("there is no installation in %s (start one with earshot serve, or name its folder with --data): %w", cfg.Data, err)
		}
		cfg.Listen = "127.0.0.1:0"
		a, err := app.Start(ctx, app.Options{Config: cfg, Services: need, Version: version, Log: log})
		if err != nil {
			return nil, err
		}
		env := a.Env("cli")
		return &link{env.Bus(), env.Settings(), func() { _ = a.Stop() }}, nil
	}
	o := bus.Options{
		URL: cfg.Bus.URL, Credentials: cfg.Bus.Credentials, Name: "cli", Log: log,
		Replicas: cfg.Bus.Replicas, MaxBytes: int64(cfg.Limits.Backlog), Retention: cfg.Limits.Retention,
	}
	if o.Password, err = cfg.Bus.Password.Reveal(); err != nil {
		return nil, fmt.Errorf("bus.password: %w", err)
	}
	o.User = cfg.Bus.User
	if cfg.Bus.URL == "" {
		o.Dialer = embedded.Dialer(folder)
	}
	conn, err := bus.Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	follow, stop := context.WithCancel(ctx)
	store, err := settings.Open(follow, conn, log)
	if err != nil {
		stop()
		conn.Close()
		return nil, err
	}
	return &link{conn, store, func() { stop(); conn.Close() }}, nil
}

func dump(f config.File) ([]byte, error) { return yaml.Marshal(f) }

// health asks a running instance, by default the one of the configuration.
func health(ctx context.Context, c *call) error {
	url := ""
	switch len(c.args) {
	case 0:
		cfg, err := c.file()
		if err != nil {
			return err
		}
		url = "http://" + cfg.Listen + "/readyz"
	case 1:
		url = c.args[0]
	default:
		return usageError("want one address")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", body)
	}
	_, err = c.out.Write(body)
	return err
}
