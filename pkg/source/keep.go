package source

import (
	"context"
	"encoding/json"
	"sync"
)

// Memory returns a keeper that forgets with the process: for a look at what a
// connector would bring, and for tests.
func Memory() Keeper { return &memory{values: map[string][]byte{}} }

type memory struct {
	mu     sync.Mutex
	values map[string][]byte // JSON
}

func (m *memory) Update(_ context.Context, name string, v any, change func() (bool, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if raw, ok := m.values[name]; ok {
		if err := json.Unmarshal(raw, v); err != nil {
			return err
		}
	}
	keep, err := change()
	if err != nil || !keep {
		return err
	}
	raw, err := json.Marshal(v)
	if err == nil {
		m.values[name] = raw
	}
	return err
}
