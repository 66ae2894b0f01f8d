package postgres_test

import (
	"testing"

	voiceassist "github.com/voiceassist/backend"
)

// TestDigestsWithNothingButBadPagesAreCollected has, of bytes that are gone, only
// pages that ended their reader: of one before, between and after those of which
// other texts are kept.
func TestDigestsWithNothingButBadPagesAreCollected(t *testing.T) {
	t.Parallel()
	p := openPeople(t)
	known := add(t, p.db, "a.txt", 0xb, voiceassist.DocumentMeta{}).Document.SHA256
	p.exec(`INSERT INTO bad_pages (sha256, engine, number, reason)
		VALUES ('0', 'pdf/1', 1, 'crashed'), ($1, 'pdf/1', 1, 'crashed'), ('c', 'pdf/1', 1, 'crashed'), ('c', 'pdf/1', 2, 'too_slow'), ('e', 'pdf/1', 1, 'crashed')`, known)
	p.exec(`INSERT INTO pages (sha256, engine, number, text) VALUES ('d', 'pdf/1', 1, 'A page.')`)
	removed := 0
	for after, turns := "", 0; turns < 5; turns++ {
		last, n, err := p.db.CollectTexts(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if removed += n; last == "" {
			break
		}
		after = last
	}
	if left := p.number(`SELECT count(*) FROM bad_pages`); removed != 5 || left != 1 {
		t.Errorf("%d rows were removed and %d bad pages are left, want 5 and that of the living document", removed, left)
	}
}
