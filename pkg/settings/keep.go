package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/earshot/earshot/pkg/bus"
	"github.com/earshot/earshot/pkg/source"
)

// Keeper keeps the values of the source called id. They are sealed to the
// services that use sources; each opens what another kept.
func (o *Opener) Keeper(s *Store, id string) source.Keeper { return keeper{o, s, id} }

type keeper struct {
	opener *Opener
	store  *Store
	source string
}

// keepTries bounds how often an update begins again because somebody else was
// faster.
const keepTries = 50

func (k keeper) Update(ctx context.Context, name string, v any, change func() (bool, error)) error {
	if !idPattern.MatchString(name) {
		return fmt.Errorf("keep %q: want a name of a-z, 0-9, - and _", name)
	}
	initial, err := json.Marshal(v)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		err := k.try(ctx, k.source+"."+name, v, change)
		if !errors.Is(err, bus.ErrConflict) || n == keepTries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(5+rand.IntN(20)) * time.Millisecond):
		}
		reflect.ValueOf(v).Elem().SetZero()
		if err := json.Unmarshal(initial, v); err != nil {
			return err
		}
	}
}

func (k keeper) try(ctx context.Context, key string, v any, change func() (bool, error)) error {
	var sealed string
	rev, err := bus.Kept.Get(ctx, k.store.bus, key, &sealed)
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return err
	}
	if err == nil {
		plain, err := k.opener.open(sealed)
		switch {
		case errors.Is(err, errOtherKey):
			k.store.log.Warn("what was kept can't be opened any more: the service has another key", "source", k.source, "name", key)
		case err != nil:
			return fmt.Errorf("what was kept as %s: %w", key, err)
		default:
			if err := json.Unmarshal([]byte(plain), v); err != nil {
				return fmt.Errorf("what was kept as %s: %w", key, err)
			}
		}
	}
	keep, err := change()
	if err != nil || !keep {
		return err
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if sealed, err = k.store.sealText(Sources.kind, string(raw)); err != nil {
		return err
	}
	_, err = bus.Kept.Update(ctx, k.store.bus, key, sealed, rev)
	return err
}
