package postgres_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

func newConversation(t *testing.T, db *postgres.DB, user uuid.UUID) uuid.UUID {
	t.Helper()
	c, err := db.CreateConversation(t.Context(), user, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.ID
}

func addMessage(t *testing.T, db *postgres.DB, n voiceassist.NewMessage) voiceassist.Message {
	t.Helper()
	if n.Role == "" {
		n.Role = voiceassist.SpeakerUser
	}
	m, err := db.AddMessage(t.Context(), n)
	if err != nil {
		t.Fatalf("AddMessage(%q): %v", n.Content, err)
	}
	return m
}

func texts(messages []voiceassist.Message) []string {
	list := make([]string, len(messages))
	for i, m := range messages {
		list[i] = m.Content
	}
	return list
}

func TestHistoryOfABranchIsWhatItSees(t *testing.T) {
	t.Parallel()
	db, _, user := chatLedger(t)
	c := newConversation(t, db, user)
	say := func(branch, content string) voiceassist.Message {
		return addMessage(t, db, voiceassist.NewMessage{UserID: user, ConversationID: c, BranchID: branch, Content: content})
	}
	fork := func(after voiceassist.Message) string {
		b, err := db.CreateBranch(t.Context(), voiceassist.NewBranch{UserID: user, ConversationID: c, ParentMessageID: after.ID})
		if err != nil {
			t.Fatal(err)
		}
		return b.ID
	}
	say("", "1")
	two := say("", "2")
	say("", "3")
	a := fork(two)
	inA := say(a, "2a")
	say(a, "2b")
	b := fork(inA)
	addMessage(t, db, voiceassist.NewMessage{UserID: user, ConversationID: c, BranchID: b, Content: "a note", Role: voiceassist.SpeakerSystem})
	say("", "4")
	x := begin(t, db, voiceassist.Question{UserID: user, ConversationID: c, BranchID: b, Content: "Why?"})
	history, err := db.History(t.Context(), x.Question, 10)
	if diff := cmp.Diff([]string{"1", "2", "2a"}, texts(history)); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	history, err = db.History(t.Context(), x.Question, 2)
	if diff := cmp.Diff([]string{"2", "2a"}, texts(history)); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	page, total, err := db.Messages(t.Context(), user, c, b, -2, 2)
	if diff := cmp.Diff([]string{"Why?", ""}, texts(page)); diff != "" || err != nil || total != 6 {
		t.Errorf("the last two of %d: %v %s", total, err, diff)
	}
}

func TestOldNamesOfBranchesGoOnSeeingTheirOwnMessages(t *testing.T) {
	t.Parallel()
	db, exec, user := chatLedger(t)
	c := newConversation(t, db, user)
	addMessage(t, db, voiceassist.NewMessage{UserID: user, ConversationID: c, Content: "1"})
	// As the migration leaves what was stored before it.
	exec(`INSERT INTO branches (conversation_id, id, parent_branch_id, fork_seq) VALUES ($1, 'draft', 'main', 0)`, c)
	addMessage(t, db, voiceassist.NewMessage{UserID: user, ConversationID: c, BranchID: "draft", Content: "x"})
	page, _, err := db.Messages(t.Context(), user, c, "draft", 0, 10)
	if diff := cmp.Diff([]string{"x"}, texts(page)); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestBranchesOfAConversationAreBounded(t *testing.T) {
	t.Parallel()
	db, exec, user := chatLedger(t)
	c := newConversation(t, db, user)
	m := addMessage(t, db, voiceassist.NewMessage{UserID: user, ConversationID: c, Content: "1"})
	exec(`INSERT INTO branches (conversation_id, id, parent_branch_id, fork_seq) SELECT $1, n, 'main', 0 FROM generate_series(1, 198) n`, c)
	var mu sync.Mutex
	var wg sync.WaitGroup
	made := 0
	for range 6 {
		wg.Go(func() {
			_, err := db.CreateBranch(t.Context(), voiceassist.NewBranch{UserID: user, ConversationID: c, ParentMessageID: m.ID})
			if err != nil && !errors.Is(err, voiceassist.Conflict) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made++
			}
		})
	}
	wg.Wait()
	if made != 2 {
		t.Errorf("%d branches were made beside 198, want 2", made)
	}
	if _, err := db.BeginRegeneration(t.Context(), voiceassist.Regeneration{UserID: user, ConversationID: c, MessageID: m.ID, NewBranch: true}); !errors.Is(err, voiceassist.Conflict) {
		t.Errorf("one more is %v", err)
	}
}

func TestMessagesAreCountedWhoeverWritesThem(t *testing.T) {
	t.Parallel()
	db, exec, user := chatLedger(t)
	c := newConversation(t, db, user)
	first := addMessage(t, db, voiceassist.NewMessage{UserID: user, ConversationID: c, Content: "1"})
	if _, err := db.BeginRegeneration(t.Context(), voiceassist.Regeneration{UserID: user, ConversationID: c, MessageID: first.ID}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := db.BeginAnswer(t.Context(), voiceassist.Question{UserID: user, ConversationID: c, Content: "Why?"}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := db.AddMessage(t.Context(), voiceassist.NewMessage{
				UserID: user, ConversationID: c, ClientMessageID: "same", Role: voiceassist.SpeakerUser, Content: "2",
			}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := db.BeginRegeneration(t.Context(), voiceassist.Regeneration{
				UserID: user, ConversationID: c, MessageID: first.ID, NewBranch: true,
			}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := db.DeleteMessage(t.Context(), user, c, first.ID); !errors.Is(err, voiceassist.Conflict) {
				t.Errorf("a question is deleted while it is being answered: %v", err)
			}
		})
	}
	wg.Wait()
	exec(`UPDATE messages SET status = 'complete'`)
	if err := db.DeleteMessage(t.Context(), user, c, first.ID); err != nil {
		t.Fatal(err)
	}
	got, err := db.Conversation(t.Context(), user, c)
	if want := 1 + 1 + 4*2 + 1 + 4 - 1; err != nil || got.MessageCount != want {
		t.Errorf("%d messages are counted, want %d; %v", got.MessageCount, want, err)
	}
	branches, err := db.Branches(t.Context(), user, c)
	if err != nil || len(branches) != 5 {
		t.Fatalf("%d branches, %v", len(branches), err)
	}
	for _, b := range branches[1:] {
		if b.MessageCount != 1 || b.ParentMessageID != nil {
			t.Errorf("a branch is %+v", b)
		}
	}
}
