package identity

import (
	"strings"
	"testing"
)

// cheap makes hashes fast where cost is not what is tested.
var cheap = params{memory: 64, passes: 1, lanes: 1}

func TestPasswordHash(t *testing.T) {
	t.Parallel()
	text := hashPassword("パスワードは長いほど良い", cheap)
	if !strings.HasPrefix(text, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Errorf("hash %s lacks its parameters", text)
	}
	if text == hashPassword("パスワードは長いほど良い", cheap) {
		t.Error("two hashes of one password are equal: no salt")
	}
	h, err := parseHash(text)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{
		"パスワードは長いほど良い":   true,
		"ﾊﾟｽﾜｰﾄﾞは長いほど良い": true, // half-width kana, the same to who types it
		"パスワードは長いほど悪い":   false,
		"":               false,
	} {
		if got := h.matches(password); got != want {
			t.Errorf("matches(%q) = %v, want %v", password, got, want)
		}
	}
}

func TestHashesOfOldCostAreStillRead(t *testing.T) {
	t.Parallel()
	// From the tests of the reference implementation: password, somesalt, t=2, 64 MiB, p=1.
	const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	h, err := parseHash(reference)
	if err != nil {
		t.Fatal(err)
	}
	if !h.matches("password") {
		t.Error("a hash of the reference implementation does not match")
	}
}

func TestParseHashRefuses(t *testing.T) {
	t.Parallel()
	good := hashPassword("x", cheap)
	tests := []struct{ name, text string }{
		{"nothing", ""},
		{"another algorithm", "$2a$10$abcdefghijklmnopqrstuv"},
		{"argon2i", strings.Replace(good, "argon2id", "argon2i", 1)},
		{"another version", strings.Replace(good, "v=19", "v=16", 1)},
		{"memory that would take the machine down", strings.Replace(good, "m=64", "m=4294967295", 1)},
		{"no passes", strings.Replace(good, "t=1", "t=0", 1)},
		{"no lanes", strings.Replace(good, "p=1", "p=0", 1)},
		{"more lanes than a byte", strings.Replace(good, "p=1", "p=257", 1)},
		{"text after the parameters", strings.Replace(good, "p=1$", "p=1,x$", 1)},
		{"a short salt", strings.Replace(good, strings.Split(good, "$")[4], "YWJj", 1)},
		{"a short key", good[:len(good)-30]},
		{"a part too many", good + "$"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := parseHash(tt.text); err == nil {
				t.Errorf("parseHash(%q) = nil, want an error", tt.text)
			}
		})
	}
}

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, password string
		want           string // "" means fine
	}{
		{"a phrase is fine", goodPassword, ""},
		{"a Japanese phrase is fine", "雨の日は家で本を読むことにする", ""},
		{"eleven characters are too few", "abcdefghijk", "too short"},
		{"characters are counted, not bytes", "日本語日本語日本", "too short"},
		{"one character over and over is refused", strings.Repeat("a", 40), "different"},
		{"the address is refused", "hana.sato-2026!", "e-mail"},
		{"a novel is refused", strings.Repeat("long", 300), "too long"},
		{"bytes that are no text are refused", "abcdefghijklm\xff", "not valid text"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := CheckPassword(tt.password, hana.Email)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("CheckPassword = %v, want nil", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("CheckPassword = %v, want it to contain %q", err, tt.want)
			case err != nil && strings.Contains(err.Error(), tt.password):
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(hashPassword("x", cheap))
	f.Add("$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=1,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHash(text)
		if err != nil {
			return
		}
		if h.memory > maxMemory || h.passes > maxPasses || h.lanes > maxLanes || h.passes == 0 || h.lanes == 0 {
			t.Errorf("parseHash(%q) lets %+v through", text, h.params)
		}
	})
}
