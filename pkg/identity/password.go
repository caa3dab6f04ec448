package identity

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// argon2Params are those of the OWASP Password Storage Cheat Sheet: 19 MiB, two
// passes, one lane. They are written into each hash, so that raising them here
// leaves old hashes valid until the next sign-in replaces them.
var argon2Params = params{memory: 19 << 10, passes: 2, lanes: 1}

const (
	saltLen = 16
	keyLen  = 32
	// Bounds on what a stored hash may ask for: a hash is data, and data must
	// not be able to take the machine down.
	maxMemory = 256 << 10
	maxPasses = 16
	maxLanes  = 16
)

// params are the costs of argon2id; memory is in KiB.
type params struct {
	memory, passes uint32
	lanes          uint8
}

// hash is a password hash in its parts.
type hash struct {
	params
	salt, key []byte
}

// Bounds on passwords. The lower one is in code points.
const (
	MinPassword = 12
	maxPassword = 1024 // bytes
)

// CheckPassword tells what is wrong with a new password of the person with this
// e-mail address. Length is what counts; no mix of characters is asked for.
func CheckPassword(password, email string) error {
	p := norm.NFKC.String(password)
	distinct := map[rune]bool{}
	for _, r := range p {
		distinct[r] = true
	}
	local, _, _ := strings.Cut(FoldEmail(email), "@")
	switch {
	case !utf8.ValidString(password):
		return errors.New("password is not valid text")
	case utf8.RuneCountInString(p) < MinPassword:
		return fmt.Errorf("password is too short: want at least %d characters", MinPassword)
	case len(password) > maxPassword:
		return errors.New("password is too long")
	case len(distinct) < 5:
		return errors.New("password repeats too few characters: want at least 5 different ones")
	case len(local) >= MinPassword/2 && strings.Contains(strings.ToLower(p), local):
		return errors.New("password contains the e-mail address")
	}
	return nil
}

func hashPassword(password string, p params) string {
	salt := make([]byte, saltLen)
	rand.Read(salt) // never fails
	key := derive(password, salt, p, keyLen)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, p.memory, p.passes, p.lanes, b64(salt), b64(key))
}

// derive normalises the password, so that it is the same whatever keyboard or
// input method typed it.
func derive(password string, salt []byte, p params, size int) []byte {
	return argon2.IDKey([]byte(norm.NFKC.String(password)), salt, p.passes, p.memory, p.lanes, uint32(size))
}

// matches compares in constant time.
func (h hash) matches(password string) bool {
	return subtle.ConstantTimeCompare(derive(password, h.salt, h.params, len(h.key)), h.key) == 1
}

// parseHash reads the PHC form. Its errors don't repeat their input.
func parseHash(s string) (hash, error) {
	var h hash
	fields := strings.Split(s, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" {
		return h, errors.New("not an argon2id hash")
	}
	if fields[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, errors.New("hash of an unknown version of argon2")
	}
	if _, err := fmt.Sscanf(fields[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.lanes); err != nil ||
		fields[3] != fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.passes, h.lanes) {
		return h, errors.New("hash parameters cannot be read")
	}
	if h.passes < 1 || h.passes > maxPasses || h.lanes < 1 || h.lanes > maxLanes ||
		h.memory < 8*uint32(h.lanes) || h.memory > maxMemory {
		return h, errors.New("hash parameters out of bounds")
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.Strict().DecodeString(fields[4]); err != nil || len(h.salt) < 8 || len(h.salt) > 64 {
		return h, errors.New("salt of the hash cannot be read")
	}
	if h.key, err = base64.RawStdEncoding.Strict().DecodeString(fields[5]); err != nil || len(h.key) < 16 || len(h.key) > 64 {
		return h, errors.New("key of the hash cannot be read")
	}
	return h, nil
}
