package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	voiceassist "github.com/voiceassist/backend"
)

func TestFoldersMovedAtOnceStayATree(t *testing.T) {
	t.Parallel()
	db, _, user := chatLedger(t)
	folders := make([]voiceassist.Folder, 6)
	for i := range folders {
		var err error
		if folders[i], err = db.CreateFolder(t.Context(), voiceassist.Folder{UserID: user, Name: fmt.Sprint("f", i)}); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i := range folders {
		wg.Go(func() {
			for _, to := range folders {
				_, err := db.UpdateFolder(t.Context(), user, folders[i].ID, voiceassist.FolderChange{ParentID: &to.ID})
				if err != nil && !errors.Is(err, voiceassist.Conflict) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	parents := map[string]string{}
	all, err := db.Folders(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.ParentID != nil {
			parents[f.ID.String()] = f.ParentID.String()
		}
	}
	for _, f := range all {
		id := f.ID.String()
		for range all {
			id = parents[id]
		}
		if id != "" {
			t.Errorf("%s lies in a circle: %v", f.Name, parents)
		}
	}
}

func TestOfFoldersOfOneNameOneIsMade(t *testing.T) {
	t.Parallel()
	db, _, user := chatLedger(t)
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = db.CreateFolder(t.Context(), voiceassist.Folder{UserID: user, Name: "Same"})
		})
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else if !errors.Is(err, voiceassist.Conflict) {
			t.Error(err)
		}
	}
	if made != 1 {
		t.Errorf("%d folders were made", made)
	}
}

func TestConversationIsFiledWhileItsFolderGoes(t *testing.T) {
	t.Parallel()
	db, _, user := chatLedger(t)
	for range 10 {
		f, err := db.CreateFolder(t.Context(), voiceassist.Folder{UserID: user, Name: "F"})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := db.DeleteFolder(t.Context(), user, f.ID); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := db.CreateConversation(t.Context(), user, "", &f.ID); err != nil && !errors.Is(err, voiceassist.NotFound) {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	list, _, err := db.Conversations(t.Context(), user, voiceassist.ConversationFilter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.FolderID != nil {
			t.Errorf("a conversation lies in a folder that is gone: %+v", c)
		}
	}
}

func TestFoldersOfAUserAreBounded(t *testing.T) {
	t.Parallel()
	db, exec, user := chatLedger(t)
	exec(`INSERT INTO folders (id, user_id, name) SELECT gen_random_uuid(), $1, n FROM generate_series(1, $2) n`, user, voiceassist.MaxFolders)
	if _, err := db.CreateFolder(t.Context(), voiceassist.Folder{UserID: user, Name: "one more"}); !errors.Is(err, voiceassist.Conflict) {
		t.Errorf("one more is %v", err)
	}
}
