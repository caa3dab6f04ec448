package config

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written as "10 MiB", "512KB" or plain bytes.
type Size int64

var units = []struct {
	name string
	n    int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// UnmarshalText reads a size; negative ones are refused.
func (s *Size) UnmarshalText(text []byte) error {
	digits, factor := string(text), int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(digits, u.name); ok {
			digits, factor = strings.TrimSpace(rest), u.n
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return Invalid("", "%q is not a size; write it like 10 MiB", text)
	}
	*s = Size(n * factor)
	return nil
}

// String writes the size in the largest binary unit that divides it.
func (s Size) String() string {
	for _, u := range units[:3] {
		if s != 0 && int64(s)%u.n == 0 {
			return strconv.FormatInt(int64(s)/u.n, 10) + " " + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + " B"
}

// parseDuration reads Go's form and whole days ("400d", "1d12h").
func parseDuration(text string) (time.Duration, error) {
	bad := func() (time.Duration, error) {
		return 0, Invalid("", "%q is not a duration; write it like 90s, 5m, 12h or 30d", text)
	}
	rest, days := text, int64(0)
	if head, tail, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseInt(head, 10, 32)
		if err != nil || n < 0 || n > 36500 {
			return bad()
		}
		rest, days = tail, n
	}
	d := time.Duration(days) * 24 * time.Hour
	if rest != "" {
		r, err := time.ParseDuration(rest)
		if err != nil || r < 0 {
			return bad()
		}
		d += r
	} else if text == "" {
		return bad()
	}
	return d, nil
}

func formatDuration(d time.Duration) string {
	if day := 24 * time.Hour; d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
