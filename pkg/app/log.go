package app

import (
	"io"
	"log/slog"
	"os"

	"github.com/earshot/earshot/pkg/config"
)

// NewLog returns a logger as configured: text on a terminal, JSON elsewhere,
// unless one of them is asked for.
func NewLog(w io.Writer, cfg config.Log) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.Level}
	text := cfg.Format == "text"
	if f, ok := w.(*os.File); ok && cfg.Format == "auto" {
		if st, err := f.Stat(); err == nil {
			text = st.Mode()&os.ModeCharDevice != 0
		}
	}
	if text {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}
