package cmd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/pipeline"
)

// loaded is a file of a test's batch, and its line in the CSV at the end.
type loaded struct {
	name    string
	content string // as uploaded; "" is not uploaded
	listed  string // what the manifest has the digest of; "" is content
	code    voiceassist.Code
	want    string // state and reason
}

func (l loaded) entry() localFile {
	listed := l.listed
	if listed == "" {
		listed = l.content
	}
	sum := sha256.Sum256([]byte(listed))
	return localFile{Name: l.name, Size: int64(len(listed)), SHA256: hex.EncodeToString(sum[:])}
}

// TestEveryFileOfABatchIsAccountedFor loads files of every kind over HTTP: each
// is in the account exactly once, the CSV tells the fate of each, and the
// webhook brings the account under a good signature.
func TestEveryFileOfABatchIsAccountedFor(t *testing.T) {
	t.Parallel()
	cfg := upConfig(t, dataDir(t))
	cfg.WebhookSecret = "a-secret-of-webhooks"
	heard := make(chan *http.Request, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		heard <- r
	}))
	defer receiver.Close()
	files := []loaded{
		{name: "good/one.txt", content: string(leaflet(1)), want: "indexed"},
		{name: "good/two.txt", content: string(leaflet(2)), want: "indexed"},
		{name: "twin/a.txt", content: string(leaflet(3)), want: "indexed"},
		{name: "twin/b.txt", listed: string(leaflet(3)), want: "duplicate"},
		{name: "=old.txt", listed: string(leaflet(4)), want: "duplicate"},
		{name: "broken.pdf", content: "%PDF-1.4 and no more", want: "failed damaged"},
		{name: "tool.exe", content: "MZ\x90\x00\x03\x00", code: voiceassist.UnsupportedMedia, want: "skipped unsupported"},
		{name: "other.txt", content: string(leaflet(6)), listed: string(leaflet(7)), code: voiceassist.Invalid, want: "awaited other_file"},
		{name: "never.txt", listed: string(leaflet(8)), want: "awaited"},
	}
	inProcess(t, cfg, func(ctx context.Context, _ *system, c *client) {
		if _, err := c.upload(ctx, "old.txt", leaflet(4), nil); err != nil {
			t.Fatal(err)
		}
		id := c.openBatch(ctx, t, map[string]any{"name": "a load", "files": entries(files), "webhook_url": receiver.URL + "/hook?key=1"})
		for _, f := range files {
			if f.content == "" {
				continue
			}
			if err := c.uploadContent(ctx, t, id, f); voiceassist.CodeOf(err) != f.code {
				t.Errorf("the upload of %s ended with %v, want %q", f.name, err, f.code)
			}
		}
		if err := c.uploadContent(ctx, t, id, loaded{name: "unlisted.txt", content: string(leaflet(9))}); voiceassist.CodeOf(err) != voiceassist.Invalid {
			t.Errorf("a file outside of the manifest is %v, want Invalid", err)
		}
		if err := c.post(ctx, batchesPath+"/"+id+"/close", nil, nil); err != nil {
			t.Fatal(err)
		}
		b, err := c.awaitBatch(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		a := b.Account
		if got, want := fmt.Sprint(a.Declared, a.Awaited, a.Indexed, a.Duplicate, a.Skipped, a.Failed, a.Cancelled, a.InFlight, a.Imbalance), "9 2 3 2 1 1 0 0 0"; got != want {
			t.Errorf("declared, awaited, indexed, duplicate, skipped, failed, cancelled, in flight, imbalance = %s, want %s", got, want)
		}
		checkFates(ctx, t, c, id, files)
		select {
		case r := <-heard:
			checkWebhook(t, r, cfg.WebhookSecret)
		case <-ctx.Done():
			t.Error("the webhook was not called")
		}
	})
}

func entries(files []loaded) []localFile {
	var all []localFile
	for _, f := range files {
		all = append(all, f.entry())
	}
	return all
}

func (c *client) openBatch(ctx context.Context, t *testing.T, request map[string]any) (id string) {
	t.Helper()
	var reply struct{ Data struct{ ID string } }
	if err := c.post(ctx, batchesPath, request, &reply); err != nil {
		t.Fatal(err)
	}
	return reply.Data.ID
}

// uploadContent uploads a file of a batch.
func (c *client) uploadContent(ctx context.Context, t *testing.T, id string, f loaded) error {
	t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", filepath.Base(f.name))
	if err == nil {
		_, err = io.WriteString(part, f.content)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return c.do(ctx, http.MethodPost, batchesPath+"/"+id+"/files?name="+url.QueryEscape(f.name), w.FormDataContentType(),
		func() io.Reader { return bytes.NewReader(form.Bytes()) }, nil)
}

// checkFates fails unless the CSV has a line for each file, in order, as it
// wants it.
func checkFates(ctx context.Context, t *testing.T, c *client, id string, files []loaded) {
	t.Helper()
	reply, err := c.once(ctx, http.MethodGet, batchesPath+"/"+id+"/files.csv", "", nil, c.access)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	rows, err := csv.NewReader(reply.Body).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, row := range rows[1:] {
		got = append(got, row[0]+": "+strings.TrimSpace(row[3]+" "+row[4]))
		if row[4] != "" && row[5] == "" {
			t.Errorf("%s has a reason and no sentence", row[0])
		}
		if row[3] == "indexed" && (row[6] == "" || row[7] == "" || row[10] == "") {
			t.Errorf("%s has no document, job or time: %q", row[0], row)
		}
	}
	for _, f := range files {
		name := f.name
		if name[0] == '=' {
			name = "'" + name // a spreadsheet would take it for a formula
		}
		want = append(want, name+": "+f.want)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the lines of the CSV differ (-want +got):\n%s", d)
	}
}

func checkWebhook(t *testing.T, r *http.Request, secret string) {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var at int64
	if _, err := fmt.Sscanf(r.Header.Get(voiceassist.WebhookSignature), "t=%d,", &at); err != nil {
		t.Fatal(err)
	}
	if want := pipeline.Sign(secret, string(body), time.Unix(at, 0)); r.Header.Get(voiceassist.WebhookSignature) != want {
		t.Errorf("the signature is %q, want %q", r.Header.Get(voiceassist.WebhookSignature), want)
	}
	for _, part := range []string{`"event":"batch.ended"`, `"declared":9`, `"failed":1`, `"imbalance":0`} {
		if !strings.Contains(string(body), part) {
			t.Errorf("%s is not in the webhook: %s", part, body)
		}
	}
}

// TestAnImportGoesOnWhereItWasBrokenOff imports a directory twice: the second
// time what has failed is tried again and nothing else is uploaded.
func TestAnImportGoesOnWhereItWasBrokenOff(t *testing.T) {
	t.Parallel()
	cfg := upConfig(t, dataDir(t))
	dir := t.TempDir()
	for name, content := range map[string]string{"a.txt": string(leaflet(1)), "b.txt": string(leaflet(2)), "c.pdf": "%PDF-1.4 broken", "d.bin": "MZ\x90\x00"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inProcess(t, cfg, func(ctx context.Context, _ *system, _ *client) {
		load := func() (string, error) {
			var out strings.Builder
			err := importFiles(ctx, call{cfg: cfg, args: []string{dir}, out: &out, log: slog.New(slog.DiscardHandler)})
			return out.String(), err
		}
		out, err := load()
		if !errors.Is(err, errNotAll) || !strings.Contains(out, "4 to upload") || !strings.Contains(out, "4 files: 2 indexed, 0 duplicates, 1 skipped, 1 failed,") ||
			!strings.Contains(out, "failed     "+filepath.Join(dir, "c.pdf")+": ") {
			t.Errorf("the first import ended with %v:\n%s", err, out)
		}
		if err := os.Remove(filepath.Join(dir, "c.pdf")); err != nil {
			t.Fatal(err)
		}
		// Broken off after its manifest: the batch is open and awaits its files.
		cl, err := operatorClient(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.http.CloseIdleConnections()
		name, err := batchName([]string{dir})
		if err != nil {
			t.Fatal(err)
		}
		files, err := findFiles(ctx, []string{dir})
		if err != nil {
			t.Fatal(err)
		}
		id, _, err := cl.listFiles(ctx, name, files)
		if err != nil {
			t.Fatal(err)
		}
		out, err = load()
		if err != nil || !strings.Contains(out, "batch "+id+": 3 files, 1 to upload") || !strings.Contains(out, "3 files: 0 indexed, 2 duplicates, 1 skipped, 0 failed,") {
			t.Errorf("the second import did not go on with batch %s; it ended with %v:\n%s", id, err, out)
		}
	})
}
