package accounts_test

import (
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/voiceassist/backend/accounts"
	"github.com/voiceassist/backend/postgrestest"
)

// hashChild makes the tests' program a child of accounts.Hashers.
const hashChild = "hash-child"

// TestChildrenHashAsThisProcessDoes has each side verify what the other hashed
// at another cost, whatever becomes of the children.
func TestChildrenHashAsThisProcessDoes(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	here := mustNew(t, db, accounts.Options{})
	for name, program := range map[string]string{"children": os.Args[0], "children that die": "/bin/false", "no program": "/nowhere"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &lines{}
			hashers := accounts.NewHashers(slog.New(slog.NewTextHandler(log, nil)), program, hashChild)
			there := mustNew(t, db, accounts.Options{Hashers: hashers, HashCost: accounts.Cost{Memory: 64, Passes: 3}})
			var both sync.WaitGroup
			for _, secret := range []string{password, "", strings.Repeat("é", 256), "zero\x00byte"} {
				both.Go(func() {
					verify(t, here, secret, mustHash(t, there, secret))
					verify(t, there, secret, mustHash(t, here, secret))
				})
			}
			both.Wait()
			if err := hashers.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			verify(t, there, password, mustHash(t, there, password))
			if told := log.has("beside the requests"); told != (program != os.Args[0]) {
				t.Errorf("the log tells of hashing in this process: %v", told)
			}
			if log.has(password) {
				t.Error("a password is in the log")
			}
		})
	}
}

func mustHash(t *testing.T, s *accounts.Service, secret string) string {
	t.Helper()
	hash, err := s.HashSecret(t.Context(), secret)
	if err != nil {
		t.Error(err)
	}
	return hash
}

func verify(t *testing.T, s *accounts.Service, secret, hash string) {
	t.Helper()
	if right, err := s.VerifySecret(t.Context(), secret, hash); err != nil || !right {
		t.Errorf("VerifySecret(%q) = %v, %v, want true", secret, right, err)
	}
	if right, err := s.VerifySecret(t.Context(), secret+"x", hash); err != nil || right {
		t.Errorf("VerifySecret(%q) = %v, %v, want false", secret+"x", right, err)
	}
}

// lines is a log that tests look into.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), s)
}
