package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	voiceassist "github.com/voiceassist/backend"
)

// client speaks to a running API as any other client does.
type client struct {
	base string
	http *http.Client

	mu      sync.Mutex
	access  string
	refresh string
	keep    func() error // keeps new tokens; may be nil
}

// newClient returns a client for base that is not signed in.
func newClient(base string) *client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 64
	return &client{base: strings.TrimSuffix(base, "/"), http: &http.Client{Transport: t}}
}

// operatorClient returns a client of the `up` that runs on DATA_DIR, signed in
// as its administrator.
func operatorClient(cfg Config) (*client, error) {
	o, err := readOperatorAccess(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("no running system was found in %s (set DATA_DIR, or give -url, -email and ADMIN_PASSWORD): %w", cfg.DataDir, err)
	}
	c := newClient(o.URL)
	c.access, c.refresh = o.AccessToken, o.RefreshToken
	c.keep = func() error {
		o.AccessToken, o.RefreshToken = c.access, c.refresh
		return o.write(cfg.DataDir)
	}
	return c, nil
}

func (c *client) login(ctx context.Context, email, password string) error {
	var tokens struct{ Data tokenPair }
	if err := c.post(ctx, "/api/auth/login", map[string]string{"email": email, "password": password}, &tokens); err != nil {
		return fmt.Errorf("sign in as %s: %w", email, err)
	}
	c.access, c.refresh = tokens.Data.Access, tokens.Data.Refresh
	return nil
}

type tokenPair struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// renew exchanges the refresh token for a new pair.
func (c *client) renew(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var tokens struct{ Data tokenPair }
	body, err := json.Marshal(map[string]string{"refresh_token": c.refresh})
	if err != nil {
		return err
	}
	reply, err := c.once(ctx, http.MethodPost, "/api/auth/refresh", "application/json", bytes.NewReader(body), "")
	if err != nil {
		return err
	}
	if err := decode(reply, &tokens); err != nil {
		return fmt.Errorf("renew the session: %w", err)
	}
	c.access, c.refresh = tokens.Data.Access, tokens.Data.Refresh
	if c.keep == nil {
		return nil
	}
	return c.keep()
}

func (c *client) once(ctx context.Context, method, path, contentType string, body io.Reader, token string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return c.http.Do(req)
}

// patience is how long a request that is told to wait is sent again.
const patience = 5 * time.Minute

// do sends a request, again when the access token has run out or the server
// asks to come back later, and decodes the reply into out.
func (c *client) do(ctx context.Context, method, path, contentType string, body func() io.Reader, out any) error {
	renewed := false
	for deadline := time.Now().Add(patience); ; {
		c.mu.Lock()
		token := c.access
		c.mu.Unlock()
		var r io.Reader
		if body != nil {
			r = body()
		}
		reply, err := c.once(ctx, method, path, contentType, r, token)
		if err != nil {
			return err
		}
		switch {
		case reply.StatusCode == http.StatusUnauthorized && !renewed && c.refresh != "":
			discard(reply)
			renewed = true
			if err := c.renew(ctx); err != nil {
				return err
			}
			continue
		case (reply.StatusCode == http.StatusTooManyRequests || reply.StatusCode == http.StatusServiceUnavailable) && time.Now().Before(deadline):
			discard(reply)
			sleep(ctx, retryAfter(reply))
			if err := ctx.Err(); err != nil {
				return err
			}
			continue
		}
		return decode(reply, out)
	}
}

func retryAfter(reply *http.Response) time.Duration {
	seconds, err := strconv.Atoi(reply.Header.Get("Retry-After"))
	if err != nil || seconds < 1 {
		return time.Second
	}
	return time.Duration(seconds) * time.Second
}

func discard(reply *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(reply.Body, 1<<20))
	_ = reply.Body.Close()
}

// decode reads a JSON reply into out, or its error.
func decode(reply *http.Response, out any) error {
	defer discard(reply)
	if reply.StatusCode < 300 {
		if out == nil {
			return nil
		}
		return json.NewDecoder(reply.Body).Decode(out)
	}
	var failure struct {
		Error struct {
			Code    voiceassist.Code
			Message string
		}
	}
	if err := json.NewDecoder(io.LimitReader(reply.Body, 1<<20)).Decode(&failure); err != nil || failure.Error.Code == "" {
		return fmt.Errorf("the API replied %s", reply.Status)
	}
	return voiceassist.Errorf(failure.Error.Code, "%s", failure.Error.Message)
}

func (c *client) get(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodGet, path, "", nil, out)
}

func (c *client) post(ctx context.Context, path string, body, out any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, path, "application/json", func() io.Reader { return bytes.NewReader(b) }, out)
}

// uploaded is the reply to an upload.
type uploaded struct {
	ID        string `json:"id"`
	JobID     string `json:"job_id"`
	Status    string `json:"status"`
	Duplicate bool   `json:"duplicate"`
}

// upload sends a file of at most a few megabytes with its fields.
func (c *client) upload(ctx context.Context, filename string, content []byte, fields map[string]string) (uploaded, error) {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for name, value := range fields {
		if err := w.WriteField(name, value); err != nil {
			return uploaded{}, err
		}
	}
	part, err := w.CreateFormFile("file", filename)
	if err == nil {
		_, err = part.Write(content)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return uploaded{}, err
	}
	var reply struct{ Data uploaded }
	err = c.do(ctx, http.MethodPost, "/api/admin/kb/documents", w.FormDataContentType(),
		func() io.Reader { return bytes.NewReader(form.Bytes()) }, &reply)
	return reply.Data, err
}

// found is a search result.
type found struct {
	ID         string  `json:"id"`
	DocumentID string  `json:"documentId"`
	Title      string  `json:"title"`
	Excerpt    string  `json:"excerpt"`
	Page       int     `json:"pageNumber"`
	Score      float64 `json:"score"`
}

func (c *client) search(ctx context.Context, query string, limit int) ([]found, error) {
	var reply struct{ Data []found }
	err := c.post(ctx, "/api/kb/search", map[string]any{"query": query, "limit": limit}, &reply)
	return reply.Data, err
}

// documentsIn returns how many documents are in a status.
func (c *client) documentsIn(ctx context.Context, status string) (int, error) {
	var reply struct{ Data struct{ Total int } }
	err := c.get(ctx, "/api/admin/kb/documents?limit=1&status="+url.QueryEscape(status), &reply)
	return reply.Data.Total, err
}

// awaitIdle waits until no document is uploaded or processing. tell is called
// with how many are left.
func (c *client) awaitIdle(ctx context.Context, tell func(left int)) error {
	for {
		left := 0
		for _, status := range []string{"uploaded", "processing"} {
			n, err := c.documentsIn(ctx, status)
			if err != nil {
				return err
			}
			left += n
		}
		tell(left)
		if left == 0 {
			return nil
		}
		sleep(ctx, 250*time.Millisecond)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// answer is the last event of an answer on the socket.
type answer struct {
	Content   string
	Citations []cited
}

// cited is a citation.
type cited struct {
	Index      int    `json:"index"`
	DocumentID string `json:"document_id"`
	Generation int    `json:"generation"`
	Title      string `json:"title"`
	Page       int    `json:"page"`
	CharStart  int    `json:"char_start"`
	CharEnd    int    `json:"char_end"`
	Quote      string `json:"quote"`
}

// ask asks a question on the socket, passes the text on as it comes, and
// returns the answer.
func (c *client) ask(ctx context.Context, question string, text func(string)) (answer, error) {
	if err := c.get(ctx, "/api/auth/me", nil); err != nil { // renews the token if it has run out
		return answer{}, err
	}
	address := "ws" + strings.TrimPrefix(c.base, "http") + "/ws"
	conn, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + c.access}}, Subprotocols: []string{"bearer", c.access},
	})
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(4 << 20)
	if err := wsjson.Write(ctx, conn, map[string]string{"type": "message_send", "content": question}); err != nil {
		return answer{}, err
	}
	for {
		var event struct {
			Type      string
			Content   string
			Message   json.RawMessage
			Citations []cited
		}
		if err := wsjson.Read(ctx, conn, &event); err != nil {
			return answer{}, err
		}
		switch event.Type {
		case "chunk":
			text(event.Content)
		case "message_done":
			return answer{Content: event.Content, Citations: event.Citations}, nil
		case "error":
			var message string
			_ = json.Unmarshal(event.Message, &message)
			return answer{}, errors.New(message)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
