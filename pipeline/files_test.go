package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"
	"gocloud.dev/blob/memblob"

	voiceassist "github.com/voiceassist/backend"
)

// newFiles returns a store of files on a rig's ledger, readers and blobs, and a
// user.
func newFiles(t *testing.T, r *rig) (*Files, uuid.UUID) {
	t.Helper()
	u, _, err := r.Ledger.PutAdmin(t.Context(), voiceassist.User{ID: uuid.New(), Email: "ada@example.org"}, "-")
	if err != nil {
		t.Fatal(err)
	}
	return &Files{Ledger: r.Ledger, Blobs: r.Blobs, Reader: r.Reader, TempDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}, u.ID
}

func (fs *Files) keep(t *testing.T, user uuid.UUID, name, content string) voiceassist.File {
	t.Helper()
	received, err := fs.Receive(t.Context(), name, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	f, _, err := fs.Commit(t.Context(), user, received, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTextOfAFileIsReadInAChild(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fs, user := newFiles(t, r)
	if f := fs.keep(t, user, "labs.html", "<html><body><h1>Labs</h1><p>Creatinine is 2.1 mg/dl.</p></body></html>"); f.TextStatus != voiceassist.TextExtracted {
		t.Errorf("the file is %+v", f)
	}
	if f := fs.keep(t, user, "paper.pdf", "%PDF-1.7 …"); f.TextStatus != voiceassist.TextUnsupported || f.TextReason == "" {
		t.Errorf("what no child reads is %+v", f)
	}
}

func TestFileWhoseReaderFailsIsKeptWithoutText(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fs, user := newFiles(t, r)
	r.broken.set(func(context.Context) error { return errors.New("disk on fire at /secret") }, nil)
	f := fs.keep(t, user, "a.txt", "Text.")
	if f.TextStatus != voiceassist.TextFailed || strings.Contains(f.TextReason, "secret") || f.TextReason == "" {
		t.Errorf("the file is %+v", f)
	}
}

func TestSweepFinishesWhatBrokeOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fs, user := newFiles(t, r)
	kept, hidden, blobGone := fs.keep(t, user, "kept.txt", "One."), fs.keep(t, user, "hidden.txt", "Two."), fs.keep(t, user, "gone.txt", "Three.")
	for _, f := range []voiceassist.File{hidden, blobGone} { // as a process that died after the first step leaves them
		if _, err := fs.Ledger.HideFile(t.Context(), user, f.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := fs.Blobs.Delete(t.Context(), blobGone.BlobKey); err != nil {
		t.Fatal(err)
	}

	closed := memblob.OpenBucket(nil)
	_ = closed.Close()
	down := *fs
	down.Blobs = closed
	if n, err := down.Sweep(t.Context()); n != 0 || err == nil {
		t.Errorf("without a blob store Sweep = %d, %v", n, err)
	}
	if n, err := fs.Sweep(t.Context()); n != 2 || err != nil {
		t.Errorf("Sweep = %d, %v, want 2", n, err)
	}
	if n, err := fs.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("the second Sweep = %d, %v, want 0", n, err)
	}
	if n := r.originals(t); n != 1 {
		t.Errorf("%d blobs, want 1", n)
	}
	if _, err := fs.Ledger.File(t.Context(), kept.ID); err != nil {
		t.Errorf("the file that stays: %v", err)
	}
	doomed, err := fs.Ledger.DoomedFiles(t.Context(), uuid.Nil, 10)
	if len(doomed) != 0 || err != nil {
		t.Errorf("left to be removed are %v, %v", doomed, err)
	}
}

func TestRemovedFileGoesLaterWhenTheBlobStoreIsDown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fs, user := newFiles(t, r)
	f := fs.keep(t, user, "a.txt", "One.")
	closed := memblob.OpenBucket(nil)
	_ = closed.Close()
	down := *fs
	down.Blobs = closed
	if err := down.Remove(t.Context(), user, f.ID); err != nil {
		t.Fatalf("Remove: %v", err)
	}
	if _, err := fs.Ledger.File(t.Context(), f.ID); voiceassist.CodeOf(err) != voiceassist.NotFound {
		t.Errorf("the file still shows: %v", err)
	}
	if n, err := fs.Sweep(t.Context()); n != 1 || err != nil || r.originals(t) != 0 {
		t.Errorf("Sweep = %d, %v with %d blobs left", n, err, r.originals(t))
	}
}

func TestCommitForAMessageOfSomebodyElseLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fs, user := newFiles(t, r)
	received, err := fs.Receive(t.Context(), "a.txt", strings.NewReader("One."))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := fs.Commit(t.Context(), user, received, new(uuid.New())); voiceassist.CodeOf(err) != voiceassist.NotFound {
		t.Errorf("Commit = %v, want NotFound", err)
	}
	kept, err := fs.Ledger.HasFile(t.Context(), received.BlobKey)
	if n := r.originals(t); n != 0 || kept || err != nil {
		t.Errorf("%d blobs are left, row %t, %v", n, kept, err)
	}
}
