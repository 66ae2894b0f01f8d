package postgres_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

func newFile(user uuid.UUID, size int64) postgres.NewFile {
	return postgres.NewFile{
		UserID: user,
		Received: voiceassist.Received{
			Filename: "a.txt", MediaType: voiceassist.MediaText, SHA256: strings.Repeat("0", 64), Size: size, BlobKey: uuid.NewString(),
		},
		Text: voiceassist.FileText{Status: voiceassist.TextExtracted, Text: "One."},
	}
}

func addFile(t *testing.T, db *postgres.DB, user uuid.UUID) voiceassist.File {
	t.Helper()
	f, _, err := db.AddFile(t.Context(), newFile(user, 4))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestUploadsAtOnceDoNotExceedTheQuotaTogether(t *testing.T) {
	t.Parallel()
	db, _, user := chatLedger(t)
	var wg sync.WaitGroup
	results := make(chan error, 8)
	for range cap(results) {
		wg.Go(func() {
			n := newFile(user, 40)
			n.Quota = 100
			_, _, err := db.AddFile(t.Context(), n)
			results <- err
		})
	}
	wg.Wait()
	close(results)
	added := 0
	for err := range results {
		switch {
		case err == nil:
			added++
		case voiceassist.CodeOf(err) != voiceassist.TooLarge:
			t.Errorf("AddFile: %v", err)
		}
	}
	if added != 2 {
		t.Errorf("%d files of 40 bytes fit into 100, want 2", added)
	}
}

func TestAttachmentsAtOnceDoNotExceedTheirBoundTogether(t *testing.T) {
	t.Parallel()
	db, _, user := chatLedger(t)
	message := begin(t, db, voiceassist.Question{UserID: user, Content: "Why?"}).Question.ID
	var wg sync.WaitGroup
	results := make(chan error, voiceassist.MaxAttachments+4)
	for range cap(results) {
		file := addFile(t, db, user).ID
		wg.Go(func() {
			_, err := db.Attach(t.Context(), user, message, file)
			results <- err
		})
	}
	wg.Wait()
	close(results)
	attached := 0
	for err := range results {
		switch {
		case err == nil:
			attached++
		case voiceassist.CodeOf(err) != voiceassist.Conflict:
			t.Errorf("Attach: %v", err)
		}
	}
	if attached != voiceassist.MaxAttachments {
		t.Errorf("%d are attached, want %d", attached, voiceassist.MaxAttachments)
	}
}

func TestFileGoesWithTheLastOfItsAttachments(t *testing.T) {
	t.Parallel()
	db, exec, user := chatLedger(t)
	file, loose := addFile(t, db, user).ID, addFile(t, db, user).ID
	one := begin(t, db, voiceassist.Question{UserID: user, Content: "Why?", Attachments: []uuid.UUID{file}}).Question
	two := begin(t, db, voiceassist.Question{UserID: user, Content: "And why?", Attachments: []uuid.UUID{file}}).Question
	hide := func(want int) {
		t.Helper()
		exec(`UPDATE files SET attached_at = attached_at - interval '1 hour'`)
		if n, err := db.HideDetachedFiles(t.Context()); n != want || err != nil {
			t.Errorf("HideDetachedFiles = %d, %v, want %d", n, err, want)
		}
	}
	if err := db.DeleteConversation(t.Context(), user, one.ConversationID); err != nil {
		t.Fatal(err)
	}
	hide(0)
	m, err := db.UserMessage(t.Context(), user, two.ID)
	if err != nil || len(m.Attachments) != 1 || m.Attachments[0].File.ID != file {
		t.Errorf("the other message has %+v, %v", m.Attachments, err)
	}
	if err := db.DeleteConversation(t.Context(), user, two.ConversationID); err != nil {
		t.Fatal(err)
	}
	hide(1)
	if _, err := db.File(t.Context(), file); voiceassist.CodeOf(err) != voiceassist.NotFound {
		t.Errorf("the detached file: %v", err)
	}
	if _, err := db.File(t.Context(), loose); err != nil {
		t.Errorf("the file that was never attached: %v", err)
	}
}

func TestTheSameAttachmentTwiceIsDetachedOnce(t *testing.T) {
	t.Parallel()
	db, _, user := chatLedger(t)
	file := addFile(t, db, user).ID
	var ids []uuid.UUID
	for _, content := range []string{"Why?", "How?"} {
		x := begin(t, db, voiceassist.Question{UserID: user, Content: content})
		a, err := db.Attach(t.Context(), user, x.Question.ID, file)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
	}
	var wg sync.WaitGroup
	hidden := make(chan int, len(ids))
	for _, id := range ids {
		wg.Go(func() {
			files, err := db.Detach(t.Context(), user, id)
			if err != nil {
				t.Errorf("Detach: %v", err)
			}
			hidden <- len(files)
		})
	}
	wg.Wait()
	if n := <-hidden + <-hidden; n != 1 {
		t.Errorf("the file was hidden %d times, want once", n)
	}
}

func TestFilesOfAUserWhoIsGoneAreRemoved(t *testing.T) {
	t.Parallel()
	db, exec, user := chatLedger(t)
	file := addFile(t, db, user)
	exec(`DELETE FROM users WHERE id = $1`, user)
	if _, err := db.File(t.Context(), file.ID); voiceassist.CodeOf(err) != voiceassist.NotFound {
		t.Errorf("the file still shows: %v", err)
	}
	doomed, err := db.DoomedFiles(t.Context(), uuid.Nil, 10)
	if err != nil || len(doomed) != 1 || doomed[0].BlobKey != file.BlobKey {
		t.Errorf("to be removed are %v, %v", doomed, err)
	}
}

func TestOldThingsExpireAndNewOnesStay(t *testing.T) {
	t.Parallel()
	db, exec, user := chatLedger(t)
	for range 450 { // more than two batches
		exec(`INSERT INTO conversations (id, user_id, updated_at) VALUES (gen_random_uuid(), $1, now() - interval '31 days')`, user)
	}
	fresh := begin(t, db, voiceassist.Question{UserID: user, Content: "Why?"}).Question
	answered := begin(t, db, voiceassist.Question{UserID: user, Content: "How?"}).Question
	exec(`UPDATE conversations SET updated_at = now() - interval '31 days' WHERE id = $1`, answered.ConversationID)
	before := time.Now().AddDate(0, 0, -30)
	if n, err := db.ExpireConversations(t.Context(), before); n != 450 || err != nil {
		t.Errorf("ExpireConversations = %d, %v, want 450", n, err)
	}
	for _, id := range []uuid.UUID{fresh.ConversationID, answered.ConversationID} {
		if _, err := db.Conversation(t.Context(), user, id); err != nil {
			t.Errorf("a conversation with activity: %v", err)
		}
	}
	old, young := addFile(t, db, user), addFile(t, db, user)
	exec(`UPDATE files SET created_at = now() - interval '31 days' WHERE id = $1`, old.ID)
	for want := 1; want >= 0; want-- {
		if n, err := db.ExpireFiles(t.Context(), before); n != want || err != nil {
			t.Errorf("ExpireFiles = %d, %v, want %d", n, err, want)
		}
	}
	if _, err := db.File(t.Context(), young.ID); err != nil {
		t.Errorf("the young file: %v", err)
	}
}
