package settings

import (
	"context"
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/earshot/earshot/pkg/config"
)

// Secrets within settings are sealed (HPKE, RFC 9180) to the services that use
// them before they reach the bus: whoever reads the bus, or a copy of it, reads
// none. A service's private key lies in its data folder, its public key in the
// settings.

// SealKey is the public key of a service, as the setting "sealkey" holds it.
type SealKey struct {
	Public []byte `json:"public"`
}

// sealedPrefix marks a sealed secret; the rest is JSON, by service, in base64.
const sealedPrefix = "sealed:"

var (
	kem  = hpke.DHKEM(ecdh.X25519())
	kdf  = hpke.HKDFSHA256()
	aead = hpke.ChaCha20Poly1305()
	// sealInfo binds a sealed text to its use.
	sealInfo = []byte("earshot setting 1")
)

// users are the services that use the secrets of a kind of setting. The replier
// alone uses those that write; a connector has one set for both.
var users = map[string][]string{
	Sources.kind:   {"fetcher", "replier"},
	Notifiers.kind: {"pager"},
}

// Opener opens what is sealed to one service.
type Opener struct {
	service string
	key     hpke.PrivateKey
}

// OpenKey loads the private key of a service from dir, or makes one, and
// publishes its public key. Secrets sealed to a key that was lost have to be
// entered again.
func (s *Store) OpenKey(ctx context.Context, dir, service string) (*Opener, error) {
	key, err := loadKey(dir, service)
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", service, err)
	}
	public := key.PublicKey().Bytes()
	if have, ok := SealKeys.Get(s, service); !ok || !slices.Equal(have.Public, public) {
		err := SealKeys.Put(ctx, s, "system", service, SealKeys.Version(s, service), SealKey{public})
		if err != nil && !errors.Is(err, ErrStale) {
			return nil, err
		}
	}
	return &Opener{service, key}, nil
}

func loadKey(dir, service string) (hpke.PrivateKey, error) {
	name := filepath.Join(dir, service+".key")
	raw, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = makeKey(dir, name)
	}
	if err != nil {
		return nil, err
	}
	key, err := kem.NewPrivateKey(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return key, nil
}

// Vault seals what only the service itself reads again. It implements
// identity.Vault.
type Vault struct{ key hpke.PrivateKey }

// vaultInfo keeps what a vault holds apart from the secrets of settings.
var vaultInfo = []byte("earshot vault 1")

// OpenVault loads the private key of a service from dir, or makes one. All
// processes of the service need the same.
func OpenVault(dir, service string) (*Vault, error) {
	key, err := loadKey(dir, service)
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", service, err)
	}
	return &Vault{key}, nil
}

// Seal implements identity.Vault.
func (v *Vault) Seal(plain string) (string, error) {
	box, err := hpke.Seal(v.key.PublicKey(), kdf, aead, vaultInfo, []byte(plain))
	return base64.StdEncoding.EncodeToString(box), err
}

// Open implements identity.Vault.
func (v *Vault) Open(sealed string) (string, error) {
	box, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return "", err
	}
	plain, err := hpke.Open(v.key, kdf, aead, vaultInfo, box)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errOtherKey, err)
	}
	return string(plain), nil
}

func makeKey(dir, name string) ([]byte, error) {
	key, err := kem.GenerateKey()
	if err != nil {
		return nil, err
	}
	raw, err := key.Bytes()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(raw)
	return raw, errors.Join(err, f.Sync(), f.Close())
}

// Open returns the configuration raw of a source or notifier with its secrets
// readable, for the connector alone.
func (o *Opener) Open(raw json.RawMessage) (json.RawMessage, error) {
	if !strings.Contains(string(raw), sealedPrefix) {
		return raw, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	for k, v := range fields {
		text, ok := v.(string)
		if !ok || !strings.HasPrefix(text, sealedPrefix) {
			continue
		}
		plain, err := o.open(text)
		if err != nil {
			return nil, config.Invalid(k, "the secret can't be opened here: enter it again (%v)", err)
		}
		fields[k] = plain
	}
	return json.Marshal(fields)
}

func (o *Opener) open(text string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, sealedPrefix))
	if err != nil {
		return "", err
	}
	var sealed map[string][]byte
	if err := json.Unmarshal(raw, &sealed); err != nil {
		return "", err
	}
	box, ok := sealed[o.service]
	if !ok {
		return "", fmt.Errorf("it was not sealed to the %s", o.service)
	}
	plain, err := hpke.Open(o.key, kdf, aead, sealInfo, box)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errOtherKey, err)
	}
	return string(plain), nil
}

// errOtherKey says that a secret was sealed to a key that the service no longer
// has.
var errOtherKey = errors.New("it was sealed to another key")

// seal seals the secrets in the configuration of a setting of kind. References
// (file:, env:) hold no secret and stay readable.
func (s *Store) seal(kind string, raw json.RawMessage, fields []config.Field) (json.RawMessage, error) {
	if len(raw) == 0 {
		return raw, nil
	}
	var values map[string]any
	if err := json.Unmarshal(raw, &values); err != nil {
		return nil, err
	}
	changed := false
	for _, f := range fields {
		text, ok := values[f.Key].(string)
		if !f.Secret || !ok || text == "" || strings.HasPrefix(text, sealedPrefix) ||
			strings.HasPrefix(text, "file:") || strings.HasPrefix(text, "env:") {
			continue
		}
		sealed, err := s.sealText(kind, text)
		if err != nil {
			return nil, config.At(f.Key, err)
		}
		values[f.Key], changed = sealed, true
	}
	if !changed {
		return raw, nil
	}
	return json.Marshal(values)
}

func (s *Store) sealText(kind, text string) (string, error) {
	boxes := map[string][]byte{}
	for _, service := range users[kind] {
		k, ok := SealKeys.Get(s, service)
		if !ok {
			return "", fmt.Errorf("no %s has run here yet, so nothing can be sealed to it: start it once", service)
		}
		public, err := kem.NewPublicKey(k.Public)
		if err != nil {
			return "", err
		}
		if boxes[service], err = hpke.Seal(public, kdf, aead, sealInfo, []byte(text)); err != nil {
			return "", err
		}
	}
	raw, err := json.Marshal(boxes)
	if err != nil {
		return "", err
	}
	return sealedPrefix + base64.StdEncoding.EncodeToString(raw), nil
}
