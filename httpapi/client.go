package httpapi

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// clientIP returns the address of the client. X-Forwarded-For is believed as
// far as trusted proxies have written it: from the right, the first address
// that is not a trusted proxy is the client.
func (s *Server) clientIP(ctx *fasthttp.RequestCtx) netip.Addr {
	ip := addrOf(ctx.RemoteAddr())
	if !s.trusted(ip) {
		return ip
	}
	// A proxy may add a line of its own instead of extending the last one.
	lines := bytes.Join(ctx.Request.Header.PeekAll("X-Forwarded-For"), []byte(","))
	hops := strings.Split(string(lines), ",")
	for _, text := range slices.Backward(hops) {
		hop, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			return ip
		}
		ip = hop.Unmap()
		if !s.trusted(ip) {
			return ip
		}
	}
	return ip
}

// overHTTPS reports whether the client speaks https, to us or to a trusted
// proxy.
func (s *Server) overHTTPS(ctx *fasthttp.RequestCtx) bool {
	if s.o.SecureCookies || ctx.IsTLS() {
		return true
	}
	return s.trusted(addrOf(ctx.RemoteAddr())) && string(ctx.Request.Header.Peek("X-Forwarded-Proto")) == "https"
}

func (s *Server) trusted(ip netip.Addr) bool {
	for _, proxies := range s.o.TrustedProxies {
		if proxies.Contains(ip) {
			return true
		}
	}
	return false
}

// addrOf returns the IP of a peer; the unspecified address for peers without
// one, such as those of a Unix socket.
func addrOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.IPv4Unspecified()
}
