package pipeline

import (
	"context"
	"slices"
	"sync"
	"testing"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/embedded/qdrantserver"
	"github.com/voiceassist/backend/qdrant"
)

// embedder notes what it is sent.
type embedder struct {
	mu   sync.Mutex
	sent []string
}

func (*embedder) Profile() string { return "test-3" }
func (*embedder) Dim() int        { return 3 }

func (e *embedder) Embed(_ context.Context, texts []string) ([][]float32, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent = append(e.sent, texts...)
	return slices.Repeat([][]float32{{1, 0, 0}}, len(texts)), nil
}

func TestPassagesAreSentToAModelOnlyWhileTheyMayBe(t *testing.T) {
	t.Parallel()
	r, e := newRig(t), &embedder{}
	server, err := qdrantserver.New(qdrantserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close(context.WithoutCancel(t.Context())) })
	if r.index, err = qdrant.Open("http://"+server.Addr(), qdrant.Options{Dim: e.Dim()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.index.Close() })
	if err := r.index.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.broken.Index, r.Embedder = r.index, e
	var answers []bool // of the questions to come; after them the last one stays
	r.MayEmbed = func() bool {
		may := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		return may
	}
	for _, c := range []struct {
		name    string
		answers []bool
		paced   bool
		sent    int
	}{
		{"never.txt", []bool{false}, false, 0},
		{"until-then.txt", []bool{true, false}, true, 0},
		{"always.txt", []bool{true}, false, 1},
	} {
		e.sent, answers = nil, c.answers
		a := r.upload(t, c.name, "The "+c.name+" document says that aspirin helps.")
		r.deliver(t)
		if c.paced {
			if j := r.job(t, a.JobID); j.State != voiceassist.JobPending || j.GivenBack != 1 {
				t.Errorf("%s: the job is %s and was given back %d times", c.name, j.State, j.GivenBack)
			}
			r.runNow(t, a.JobID)
			r.deliver(t)
		}
		if d := r.document(t, a.Document.ID); d.State != voiceassist.DocumentIndexed || len(e.sent) != c.sent {
			t.Errorf("%s is %s, and %q was sent", c.name, d.State, e.sent)
		}
	}
	if active, _ := r.points(t); active != 3 {
		t.Errorf("%d passages can be found, want 3", active)
	}
}
