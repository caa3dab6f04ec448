package config

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxSecret bounds the size of a file that a secret refers to.
const maxSecret = 64 << 10

// placeholder is what a secret prints as, everywhere.
const placeholder = "<secret>"

// Secret is a token, password or key, or a reference to one:
//
//	file:/run/secrets/x   the content of a file, without its last line break
//	env:NAME              the value of an environment variable
//	anything else         the secret itself
//
// It prints as "<secret>" in logs, errors, fmt, JSON and YAML, also within
// other values; an empty one prints as the empty string. References are
// resolved by [Secret.Reveal], when the secret is used, so that a process can
// read a file that names secrets only another process has.
//
// In what people edit, references reach no further than was laid out for them,
// or whoever may edit a webhook could have it sent the process's own keys: see
// [Kind]. There file: names a file in the folder of the variable
// EARSHOT_SECRETS, by default /run/secrets/settings, and env: a variable that
// begins with EARSHOT_SECRET_.
//
// The zero value is an empty secret. Secrets are not comparable with ==.
type Secret struct {
	// A pointer, because fmt prints the fields of a struct without asking
	// their methods when the field that holds the struct is unexported.
	ref      *string
	confined bool
	_        [0]func()
}

const (
	secretsVariable = "EARSHOT_SECRETS"
	secretsFolder   = "/run/secrets/settings" // unless that variable is set
	secretPrefix    = "EARSHOT_SECRET_"
)

// confine limits what s may refer to.
func (s *Secret) confine() error {
	if s.ref == nil {
		return nil
	}
	s.confined = true
	if name, ok := strings.CutPrefix(*s.ref, "env:"); ok && !strings.HasPrefix(name, secretPrefix) {
		return Invalid("", "env:%s: here only variables that begin with %s can be named", name, secretPrefix)
	}
	if name, ok := strings.CutPrefix(*s.ref, "file:"); ok && !filepath.IsLocal(name) {
		return Invalid("", "file:%s: here only files in the folder of %s can be named, without its path", name, secretsVariable)
	}
	return nil
}

// NewSecret returns the secret that text is or refers to.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{ref: &text}
}

// IsZero tells whether no secret is set. It does not resolve references.
func (s Secret) IsZero() bool { return s.ref == nil }

// Reveal returns the secret itself, reading the file or variable it refers
// to. An unset secret gives the empty string; a reference to something missing
// or empty is an error that names the reference.
func (s Secret) Reveal() (string, error) {
	if s.ref == nil {
		return "", nil
	}
	if path, ok := strings.CutPrefix(*s.ref, "file:"); ok {
		f, err := s.open(path)
		if err != nil {
			return "", fmt.Errorf("secret file: %w", err)
		}
		defer f.Close()
		return readSecret(f)
	}
	if name, ok := strings.CutPrefix(*s.ref, "env:"); ok {
		if v := os.Getenv(name); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("secret env:%s: the variable is not set", name)
	}
	return *s.ref, nil
}

func (s Secret) open(path string) (*os.File, error) {
	if !s.confined {
		return os.Open(path)
	}
	folder := cmp.Or(os.Getenv(secretsVariable), secretsFolder)
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(path)
}

func readSecret(f *os.File) (string, error) {
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("secret file: %w", err)
	case len(b) > maxSecret:
		return "", fmt.Errorf("secret file %s: larger than %d bytes", f.Name(), maxSecret)
	}
	v := strings.TrimRight(string(b), "\r\n")
	if v == "" {
		return "", fmt.Errorf("secret file %s: empty", f.Name())
	}
	return v, nil
}

// String returns "<secret>", or nothing for an empty secret.
func (s Secret) String() string {
	if s.ref == nil {
		return ""
	}
	return placeholder
}

// Format prints the placeholder whatever the verb.
func (s Secret) Format(f fmt.State, verb rune) {
	if verb == 'q' {
		fmt.Fprintf(f, "%q", s.String())
		return
	}
	io.WriteString(f, s.String())
}

// MarshalText writes the placeholder, for JSON, YAML and slog.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes a secret or a reference. It refuses the placeholder, so
// that a form sent back unchanged can't overwrite a secret with it.
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == placeholder {
		return Invalid("", "%q stands for a hidden value; leave it out or write the secret", placeholder)
	}
	*s = NewSecret(string(text))
	return nil
}
