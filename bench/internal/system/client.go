package system

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Client speaks to the API as a user's program does. It is safe for concurrent
// use.
type Client struct {
	URL  string
	HTTP *http.Client // nil is http.DefaultClient

	mu    sync.Mutex
	token string
}

// Token is what SignIn was given last.
func (c *Client) Token() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

// SignIn signs in, and keeps the token.
func (c *Client) SignIn(ctx context.Context, email, password string) error {
	var reply struct {
		Access string `json:"access_token"`
	}
	body := strings.NewReader(fmt.Sprintf(`{"email":%q,"password":%q}`, email, password))
	if err := c.Do(ctx, http.MethodPost, "/api/auth/login", "application/json", body, &reply); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = reply.Access
	return nil
}

// Refusal is an error that the API replied. Code and Message are empty when its
// body was not the API's.
type Refusal struct {
	Status        int
	Code, Message string
}

func (r *Refusal) Error() string {
	if r.Code == "" {
		return fmt.Sprintf("the API replied %d %s", r.Status, http.StatusText(r.Status))
	}
	return r.Code + ": " + r.Message
}

// Do makes a request and decodes the JSON of its reply into out. Any reply but
// a success is a *Refusal.
func (c *Client) Do(ctx context.Context, method, path, contentType string, body io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+c.Token())
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	reply, err := client.Do(req)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode < 300 {
		return json.NewDecoder(reply.Body).Decode(out)
	}
	var failure struct {
		Error struct{ Code, Message string }
	}
	if err := json.NewDecoder(reply.Body).Decode(&failure); err != nil {
		return &Refusal{Status: reply.StatusCode}
	}
	return &Refusal{reply.StatusCode, failure.Error.Code, failure.Error.Message}
}

// Uploaded is the reply to an upload.
type Uploaded struct {
	ID        string
	Duplicate bool
}

// Upload streams a document as a multipart form. An empty title leaves the
// title to the file.
func (c *Client) Upload(ctx context.Context, name, title string, content io.Reader) (Uploaded, error) {
	var frame bytes.Buffer
	form := multipart.NewWriter(&frame)
	if title != "" {
		if err := form.WriteField("title", title); err != nil {
			return Uploaded{}, err
		}
	}
	if _, err := form.CreateFormFile("file", name); err != nil {
		return Uploaded{}, err
	}
	head := frame.Len()
	if err := form.Close(); err != nil {
		return Uploaded{}, err
	}
	body := io.MultiReader(bytes.NewReader(frame.Bytes()[:head]), content, bytes.NewReader(frame.Bytes()[head:]))
	var reply struct{ Data Uploaded }
	err := c.Do(ctx, http.MethodPost, "/api/admin/kb/documents", form.FormDataContentType(), body, &reply)
	return reply.Data, err
}

// Metrics returns the sum of the figures of /metrics whose lines begin with one
// of the prefixes.
func (c *Client) Metrics(ctx context.Context, prefixes ...string) (sum float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	found := false
	lines := bufio.NewScanner(reply.Body)
	for lines.Scan() {
		line := lines.Text()
		if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(line, p) }) {
			continue
		}
		n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return 0, err
		}
		sum, found = sum+n, true
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	if !found {
		return 0, fmt.Errorf("no figures %v", prefixes)
	}
	return sum, nil
}
