package pipeline

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// webhookTimeout bounds an attempt to send a webhook.
const webhookTimeout = 10 * time.Second

// newWebhookClient returns a client that connects to receivers of webhooks and
// to nothing else; loopback says whether this machine may be one.
func newWebhookClient(loopback bool) *http.Client {
	dialer := &net.Dialer{Timeout: webhookTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		return checkTarget(address, loopback)
	}}
	return &http.Client{
		Timeout: webhookTimeout,
		// No proxy: what is dialled has to be the receiver, for checkTarget to judge it.
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: webhookTimeout, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Sign returns the value of voiceassist.WebhookSignature for a body that is sent
// at a time. Receivers compute it again, and refuse old times.
func Sign(secret, body string, at time.Time) string {
	t := fmt.Sprint(at.Unix())
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "." + body))
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// post sends a webhook. Any status of 2xx is its receipt, 410 says that no
// further attempt is wanted; what else the receiver answers is not read.
func (n *Notifier) post(ctx context.Context, notice voiceassist.Notice) error {
	if n.Secret == "" {
		return fmt.Errorf("%w: WEBHOOK_SECRET is not set", errNever)
	}
	if err := CheckWebhookURL(notice.To, n.Loopback); err != nil {
		return fmt.Errorf("%w: %w", errNever, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, notice.To, strings.NewReader(notice.Body))
	if err != nil {
		return fmt.Errorf("%w: its address is none", errNever)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "VoiceAssist/"+voiceassist.Version)
	req.Header.Set(voiceassist.WebhookNotice, notice.ID.String())
	req.Header.Set(voiceassist.WebhookSignature, Sign(n.Secret, notice.Body, time.Now()))
	reply, err := n.client.Do(req)
	if err != nil {
		return hideAddress(err)
	}
	defer reply.Body.Close()
	switch {
	case reply.StatusCode == http.StatusGone:
		return fmt.Errorf("%w: the receiver answered 410, it is gone for good", errNever)
	case reply.StatusCode < 200 || reply.StatusCode > 299:
		return fmt.Errorf("the receiver answered %d", reply.StatusCode)
	}
	return nil
}

// hideAddress returns the cause of an error of net/http without the URL, which
// may hold a secret.
func hideAddress(err error) error {
	if refused, ok := errors.AsType[*targetError](err); ok {
		return refused // a name led there, and may lead elsewhere tomorrow
	}
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
		return errors.New("the receiver did not answer in time")
	}
	return errors.New("the receiver cannot be reached")
}

// CheckWebhookURL returns nil if a webhook may be sent to a URL, and otherwise an
// Invalid error that says why none ever will. Of a host that is a name only
// sending shows where it leads; loopback says whether this machine may be meant.
func CheckWebhookURL(address string, loopback bool) error {
	if len(address) > voiceassist.MaxWebhookURL {
		return notWebhook("it has more than %d bytes", voiceassist.MaxWebhookURL)
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return notWebhook("want https://… or http://… with a host")
	}
	if u.User != nil {
		return notWebhook("it must not hold a user or a password")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return notWebhook("its port is none")
		}
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if !loopback && (host == "localhost" || strings.HasSuffix(host, ".localhost")) {
		return notWebhook("webhooks are not sent to this machine")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if err := checkAddr(addr, loopback); err != nil {
			return notWebhook("%v", err)
		}
	}
	return nil
}

func notWebhook(format string, args ...any) error {
	return voiceassist.FieldError("webhook_url", "webhook_url cannot be a webhook's: "+format, args...)
}

// targetError is the refusal to send a webhook to an address.
type targetError struct{ addr netip.Addr }

func (e *targetError) Error() string {
	return "webhooks are not sent to " + e.addr.String() + ": it belongs to this machine or to its cloud"
}

// metadataAddrs are addresses outside of the link-local ranges at which clouds
// tell their machines secrets.
var metadataAddrs = []netip.Addr{
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
}

// nat64 is the network that stands for IPv4 addresses in its last 32 bits.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// checkTarget judges the address that is dialled, after names have been looked
// up.
func checkTarget(address string, loopback bool) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %q: %w", address, err)
	}
	return checkAddr(target.Addr(), loopback)
}

// checkAddr refuses this machine, unless loopback allows it, link-local and
// metadata addresses, and what is no single machine. Private networks are
// allowed: receivers live there.
func checkAddr(addr netip.Addr, loopback bool) error {
	addr = addr.WithZone("").Unmap()
	if nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	refused := addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) ||
		addr.IsLoopback() && !loopback
	for _, metadata := range metadataAddrs {
		refused = refused || addr == metadata
	}
	if refused {
		return &targetError{addr}
	}
	return nil
}
