package cmd

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"gocloud.dev/blob/memblob"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/postgrestest"
)

// TestTextOfAnUploadedPDFIsReadByTheAPI also covers that an API process ends
// with a reader that has read.
func TestTextOfAnUploadedPDFIsReadByTheAPI(t *testing.T) {
	t.Parallel()
	pdf, err := os.ReadFile("../samples/asthma-attack.pdf")
	if err != nil {
		t.Fatal(err)
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "asthma.pdf")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(pdf)
	_ = w.Close()
	inProcess(t, upConfig(t, dataDir(t)), func(ctx context.Context, _ *system, c *client) {
		var reply struct {
			Data struct {
				Status string `json:"text_status"`
				Type   string `json:"mime_type"`
			}
		}
		err := c.do(ctx, http.MethodPost, "/api/files/upload", w.FormDataContentType(), func() io.Reader { return bytes.NewReader(form.Bytes()) }, &reply)
		if err != nil || reply.Data.Status != "extracted" || reply.Data.Type != voiceassist.MediaPDF {
			t.Errorf("the file is %+v, %v", reply.Data, err)
		}
	})
}

func TestRetentionIsAppliedByTheChores(t *testing.T) {
	t.Parallel()
	address := postgrestest.URL(t)
	db, err := postgres.Open(t.Context(), address, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	bucket := memblob.OpenBucket(nil)
	t.Cleanup(func() { _ = bucket.Close() })
	e := &engines{registry: prometheus.NewRegistry(), ledger: db, blobs: bucket}
	log := slog.New(slog.DiscardHandler)

	owner, _, err := db.PutAdmin(t.Context(), voiceassist.User{ID: uuid.New(), Email: "ada@example.org"}, "-")
	if err != nil {
		t.Fatal(err)
	}
	files := e.files(Config{}, nil, log)
	received, err := files.Receive(t.Context(), "a.txt", strings.NewReader("One."))
	if err != nil {
		t.Fatal(err)
	}
	file, _, err := files.Commit(t.Context(), owner.ID, received, nil)
	if err != nil {
		t.Fatal(err)
	}
	conversation, err := db.CreateConversation(t.Context(), owner.ID, "Old", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{`UPDATE files SET created_at = now() - interval '40 days'`, `UPDATE conversations SET updated_at = now() - interval '40 days'`} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	list := chores(Config{}, e, log)
	for _, c := range []struct {
		days int
		gone bool
	}{{0, false}, {41, false}, {39, true}} {
		if _, err := db.SetRetention(t.Context(), voiceassist.Retention{Conversations: c.days, Files: c.days}); err != nil {
			t.Fatal(err)
		}
		for _, chore := range list {
			if !strings.HasPrefix(chore.name, "expire") && chore.name != "remove hidden files" {
				continue // they need more engines
			}
			if _, err := chore.do(t.Context()); err != nil {
				t.Errorf("%s: %v", chore.name, err)
			}
		}
		_, fileErr := db.File(t.Context(), file.ID)
		_, conversationErr := db.Conversation(t.Context(), owner.ID, conversation.ID)
		kept, err := bucket.Exists(t.Context(), file.BlobKey)
		if (fileErr != nil) != c.gone || (conversationErr != nil) != c.gone || kept == c.gone || err != nil {
			t.Errorf("kept for %d days: file %v, conversation %v, blob %t, %v", c.days, fileErr, conversationErr, kept, err)
		}
	}
}
