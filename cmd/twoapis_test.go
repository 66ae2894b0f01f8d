package cmd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// TestTwoAPIProcessesBehaveAsOne runs two copies of the api process that know
// nothing of one another.
func TestTwoAPIProcessesBehaveAsOne(t *testing.T) {
	t.Parallel()
	env := append(servers(t), "PORT=0", "HOST=127.0.0.1", "RATE_LIMIT_LOGIN=6/m")
	start(t, "voiceassist", []string{"admin", "create"}, append(env, "ADMIN_PASSWORD="+testPassword)...).await(t, "was created as an administrator")
	first, second := start(t, "api", nil, env...), start(t, "api", nil, env...)
	here, there := "http://"+first.await(t, "msg=listening addr="), "http://"+second.await(t, "msg=listening addr=")
	admin := signedIn(t, here)
	beyond := &client{base: there, http: admin.http, access: admin.access, refresh: admin.refresh}

	t.Run("a toggled flag reaches the other's event stream", func(t *testing.T) {
		events := openStream(t, there+"/api/flags/stream", admin.access)
		awaitLine(t, events, "voice_mode")
		if err := admin.post(t.Context(), "/api/admin/feature-flags/voice_mode/toggle", nil, nil); err != nil {
			t.Fatal(err)
		}
		awaitLine(t, events, "event: flag_update")
		awaitLine(t, events, "voice_mode")
	})

	t.Run("typing reaches the user's socket at the other, and both are counted", func(t *testing.T) {
		one, other := openSocket(t, here, admin.access), openSocket(t, there, admin.access)
		deadline := time.Now().Add(30 * time.Second)
		for heard := false; !heard; {
			if err := wsjson.Write(t.Context(), one, map[string]string{"type": "typing_start"}); err != nil {
				t.Fatal(err)
			}
			heard = hears(t, other, "typing_start")
			if time.Now().After(deadline) {
				t.Fatal("typing_start did not arrive")
			}
		}
		eventually(t, func() string {
			var status struct {
				Data struct {
					Active int `json:"active_connections"`
				}
			}
			if err := beyond.get(t.Context(), "/api/admin/panel/websocket-status", &status); err != nil || status.Data.Active < 2 {
				return fmt.Sprintf("the other counts %d sockets, %v; want two at least", status.Data.Active, err)
			}
			return ""
		})
	})

	t.Run("a changed name is seen at the other", func(t *testing.T) {
		if err := admin.do(t.Context(), http.MethodPut, "/api/users/me", "application/json", jsonBody(`{"full_name":"Grace Hopper"}`), nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() string {
			var me struct {
				Data struct {
					Name string `json:"full_name"`
				}
			}
			if err := beyond.get(t.Context(), "/api/auth/me", &me); err != nil || me.Data.Name != "Grace Hopper" {
				return fmt.Sprintf("the other knows %q, %v", me.Data.Name, err)
			}
			return ""
		})
	})

	t.Run("limits count together", func(t *testing.T) {
		refused := 0
		for i := range 14 {
			c := newClient([]string{here, there}[i%2])
			reply, err := c.once(t.Context(), http.MethodPost, "/api/auth/login", "application/json",
				strings.NewReader(`{"email":"admin@example.com","password":"`+testPassword+`"}`), "")
			if err != nil {
				t.Fatal(err)
			}
			discard(reply)
			if reply.StatusCode == http.StatusTooManyRequests {
				refused++
			}
			c.http.CloseIdleConnections()
		}
		// One of six was the first login; a minute lets six more through, a tenth of a second each.
		if refused < 6 {
			t.Errorf("%d of 14 logins were refused by a limit of 6 a minute", refused)
		}
	})

	t.Run("a session that ended at one is dead at the other", func(t *testing.T) {
		socket := openSocket(t, there, admin.access)
		if err := admin.post(t.Context(), "/api/auth/logout", struct{}{}, nil); err != nil {
			t.Fatal(err)
		}
		ended := time.Now()
		for {
			reply, err := beyond.once(t.Context(), http.MethodGet, "/api/auth/me", "", nil, admin.access)
			if err != nil {
				t.Fatal(err)
			}
			discard(reply)
			if reply.StatusCode == http.StatusUnauthorized {
				break
			}
			if time.Since(ended) > 30*time.Second {
				t.Fatal("the token still works at the other")
			}
		}
		t.Logf("dead at the other after %v", time.Since(ended))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for {
			if _, _, err := socket.Read(ctx); err != nil {
				if websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
					t.Errorf("the socket ended with %v", err)
				}
				return
			}
		}
	})
}

// eventually calls f until it finds nothing to complain of.
func eventually(t *testing.T, f func() string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		complaint := f()
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(complaint)
		}
	}
}

// openStream opens an event stream, whose lines it returns.
func openStream(t *testing.T, url, token string) <-chan string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	c := &http.Client{Transport: &http.Transport{}}
	reply, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if reply.StatusCode != http.StatusOK || !strings.HasPrefix(reply.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("the stream is %s %s", reply.Status, reply.Header.Get("Content-Type"))
	}
	lines := make(chan string, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(lines)
		for s := bufio.NewScanner(reply.Body); s.Scan(); {
			select {
			case lines <- s.Text():
			default: // nobody reads that far
			}
		}
	}()
	t.Cleanup(func() {
		_ = reply.Body.Close()
		<-done
	})
	return lines
}

func awaitLine(t *testing.T, lines <-chan string, mark string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("the stream ended without %q", mark)
			}
			if strings.Contains(line, mark) {
				return
			}
		case <-deadline:
			t.Fatalf("no line with %q arrived", mark)
		}
	}
}

// openSocket opens a chat socket and reads its first event.
func openSocket(t *testing.T, base, token string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(base, "http")+"/ws?token="+token, nil) //nolint:bodyclose // there is none
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	if !hears(t, c, "connected") {
		t.Fatal("the socket did not say connected")
	}
	return c
}

// hears reports whether the next event of a socket is of a type.
func hears(t *testing.T, c *websocket.Conn, typ string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var event struct{ Type string }
	if err := wsjson.Read(ctx, c, &event); err != nil {
		t.Fatalf("no event of type %s: %v", typ, err)
	}
	return event.Type == typ
}

func jsonBody(text string) func() io.Reader {
	return func() io.Reader { return strings.NewReader(text) }
}
