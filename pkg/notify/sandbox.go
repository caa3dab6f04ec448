package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/escalation"
)

type sandboxConfig struct {
	File string `yaml:"file" doc:"Name of the file in the data folder." required:"true"`
}

var sandboxDefaults = sandboxConfig{File: "pages.jsonl"}

// Validate keeps the file within the data folder.
func (c sandboxConfig) Validate() error {
	if filepath.Base(c.File) != c.File || !filepath.IsLocal(c.File) || c.File == "." {
		return config.Invalid("file", "%q is not the plain name of a file", c.File)
	}
	return nil
}

// sandboxSize is where the file is set aside as FILE.old, in bytes.
const sandboxSize = 1 << 20

// sandbox writes pages to a file, one JSON object a line, for demonstrations
// and drills. It never holds what outsiders wrote, which an erasure would have
// to find there.
type sandbox struct {
	cfg  sandboxConfig
	deps Deps
}

func openSandbox(c sandboxConfig, d Deps) (Notifier, error) { return &sandbox{c, d}, nil }

// Personal makes a drill show everybody who would have been paged.
func (*sandbox) Personal() bool { return true }

type sandboxPage struct {
	At         string            `json:"at"`
	Key        string            `json:"key"`
	Action     escalation.Action `json:"action"`
	Escalation string            `json:"escalation"`
	To         string            `json:"to"`
	Subject    string            `json:"subject"`
	Text       string            `json:"text"`
}

func (n *sandbox) Notify(_ context.Context, p Page) (Receipt, error) {
	m := compose(p, false)
	line, err := json.Marshal(sandboxPage{
		At: stamp(n.deps.now()), Key: p.Key, Action: p.Action, Escalation: p.Escalation, To: clean(p.To.Name),
		Subject: m.Subject, Text: m.plain(),
	})
	if err != nil {
		return Receipt{}, refuse("encode page: %w", err)
	}
	if err := n.write(append(line, '\n')); err != nil {
		return Receipt{}, fmt.Errorf("sandbox: %s: %w", p.Action, err)
	}
	return Receipt{}, nil
}

func (n *sandbox) write(line []byte) error {
	root, err := os.OpenRoot(n.deps.Data)
	if err != nil {
		return err
	}
	defer root.Close()
	if info, err := root.Stat(n.cfg.File); err == nil && info.Size() > sandboxSize {
		if err := root.Rename(n.cfg.File, n.cfg.File+".old"); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(n.cfg.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(line); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
