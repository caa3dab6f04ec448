package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ErrPrivate is in the error of every request that would have reached a
// private, loopback, link-local or otherwise special address.
var ErrPrivate = errors.New("private address refused")

// guard decides about addresses after names are resolved and before packets
// leave, so neither DNS nor redirects get around it.
type guard struct {
	hosts    map[string]bool // host or host:port
	prefixes []netip.Prefix
	proxy    *url.URL
}

func newGuard(allow []string, proxy *url.URL) (*guard, error) {
	g := &guard{hosts: map[string]bool{}, proxy: proxy}
	for _, a := range allow {
		if p, err := netip.ParsePrefix(a); err == nil {
			g.prefixes = append(g.prefixes, p.Masked())
		} else if ip, err := netip.ParseAddr(a); err == nil {
			ip = ip.Unmap()
			g.prefixes = append(g.prefixes, netip.PrefixFrom(ip, ip.BitLen()))
		} else if a == "" || strings.ContainsAny(a, "/ ") {
			return nil, fmt.Errorf("outbound: %q is neither host, address nor network", a)
		} else {
			g.hosts[strings.ToLower(a)] = true
		}
	}
	if proxy != nil {
		g.hosts[strings.ToLower(hostPort(proxy))] = true
	}
	return g, nil
}

func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "https" {
		return net.JoinHostPort(u.Hostname(), "443")
	}
	return net.JoinHostPort(u.Hostname(), "80")
}

func (g *guard) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	if !g.named(addr) {
		d.Control = func(_, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%w: %s", ErrPrivate, address)
			}
			return g.check(ap.Addr())
		}
	}
	return d.DialContext(ctx, network, addr)
}

// named tells whether addr, host:port, is allowed by its name.
func (g *guard) named(addr string) bool {
	addr = strings.ToLower(addr)
	host, _, err := net.SplitHostPort(addr)
	return err == nil && (g.hosts[addr] || g.hosts[host])
}

// url refuses other schemes, and behind a proxy, where we don't dial the
// target ourselves, targets that are private as they are written.
func (g *guard) url(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errRequest("only http and https addresses are fetched")
	}
	if g.proxy == nil || g.named(hostPort(u)) {
		return nil
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return fmt.Errorf("%w: %s", ErrPrivate, host)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return g.check(ip)
	}
	return nil
}

func (g *guard) check(ip netip.Addr) error {
	ip = ip.WithZone("").Unmap()
	if slices.ContainsFunc(g.prefixes, func(p netip.Prefix) bool { return p.Contains(ip) }) || public(ip) {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrPrivate, ip)
}

// special lists what is not public although it is unicast: IANA's special
// purpose registries, and the address at which Azure serves its metadata.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/3", "168.63.129.16/32",
	"2001::/23", "2001:db8::/32", "3fff::/20",
)

var (
	global6   = netip.MustParsePrefix("2000::/3")
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

// public tells whether ip is an ordinary address of the internet. An IPv6
// address that carries an IPv4 one is as public as that.
func public(ip netip.Addr) bool {
	if ip.Is6() {
		b := ip.As16()
		switch {
		case nat64.Contains(ip):
			return public(netip.AddrFrom4([4]byte(b[12:])))
		case sixToFour.Contains(ip):
			return public(netip.AddrFrom4([4]byte(b[2:6])))
		case !global6.Contains(ip):
			return false
		}
	}
	return ip.IsValid() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(ip) })
}
