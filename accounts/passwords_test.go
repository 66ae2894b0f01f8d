package accounts_test

import (
	"strings"
	"testing"

	"github.com/voiceassist/backend/accounts"
	"github.com/voiceassist/backend/postgrestest"
)

// TestPasswordsAreHashedAtTheStandardCost looks at what a service does that is
// told of no cost, and at a hash that was kept before there were others.
func TestPasswordsAreHashedAtTheStandardCost(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	plain, err := accounts.New(db, accounts.Options{Secrets: []string{secret}})
	if err != nil {
		t.Fatal(err)
	}
	const standard = "$argon2id$v=19$m=19456,t=2,p=1$"
	hash := mustHash(t, plain, password)
	if !strings.HasPrefix(hash, standard) {
		t.Errorf("the hash is %s, want %s…", hash, standard)
	}
	other := mustNew(t, db, accounts.Options{})
	verify(t, other, password, hash)
	verify(t, other, password, standard+"MDEyMzQ1Njc4OWFiY2RlZg$69I7qCjDTsQwhQqFvpQJiqEI0lGQvxC84fXE0Ktxca4")
	verify(t, plain, password, mustHash(t, other, password))
}

func TestWhatIsNoHashOfOursIsAnError(t *testing.T) {
	t.Parallel()
	s := mustNew(t, postgrestest.Open(t), accounts.Options{})
	good := mustHash(t, s, password)
	for name, hash := range map[string]string{
		"nothing":             "",
		"another kind":        strings.Replace(good, "argon2id", "argon2i", 1),
		"another version":     strings.Replace(good, "v=19", "v=16", 1),
		"more threads":        strings.Replace(good, "p=1", "p=4", 1),
		"no memory":           strings.Replace(good, "m=8", "m=0", 1),
		"too much memory":     strings.Replace(good, "m=8", "m=4000000", 1),
		"no pass":             strings.Replace(good, "t=1", "t=0", 1),
		"too many passes":     strings.Replace(good, "t=1", "t=11", 1),
		"no key":              good[:strings.LastIndexByte(good, '$')],
		"half a key":          good[:len(good)-20],
		"a salt in no base64": strings.Replace(good, "p=1$", "p=1$!", 1),
	} {
		if right, err := s.VerifySecret(t.Context(), password, hash); err == nil || right {
			t.Errorf("%s: VerifySecret = %v, %v, want an error", name, right, err)
		}
	}
}
