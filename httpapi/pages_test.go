package httpapi_test

import (
	"regexp"
	"strings"
	"testing"
)

var loaded = regexp.MustCompile(`(?:src|href|spec-url)="([^"]*)"`)

func TestThePagesLoadOnlyWhatThisServerHas(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, path := range []string{"/docs", "/docs/", "/api/docs", "/redoc", "/api/redoc/", "/v1/docs"} {
		page := s.want(200, s.do("GET", path, ""))
		csp := page.header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "script-src 'self';") || strings.Contains(csp, "http") {
			t.Errorf("%s has the policy %s", path, csp)
		}
		addresses := loaded.FindAllStringSubmatch(page.text, -1)
		if len(addresses) < 3 {
			t.Errorf("%s loads only %v", path, addresses)
		}
		for _, address := range addresses {
			if !strings.HasPrefix(address[1], "/") || strings.HasPrefix(address[1], "//") {
				t.Errorf("%s loads %s", path, address[1])
				continue
			}
			if r := s.do("GET", address[1], "", header("Accept-Encoding", "identity")); r.status != 200 || r.text == "" {
				t.Errorf("%s loads %s, which is %d with %d bytes", path, address[1], r.status, len(r.text))
			}
		}
	}
}

func TestAssetsAreSentCompressedToThoseWhoTakeThat(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, path := range []string{"/docs/swagger-ui-bundle.js", "/redoc/redoc.standalone.js"} {
		plain := s.want(200, s.do("GET", path, "", header("Accept-Encoding", "identity")))
		small := s.want(200, s.do("GET", path, "", header("Accept-Encoding", "gzip")))
		if plain.header.Get("Content-Encoding") != "" || small.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: Content-Encoding %q and %q", path, plain.header.Get("Content-Encoding"), small.header.Get("Content-Encoding"))
		}
		if len(small.text)*2 > len(plain.text) {
			t.Errorf("%s: %d bytes compressed, %d plain", path, len(small.text), len(plain.text))
		}
	}
}
