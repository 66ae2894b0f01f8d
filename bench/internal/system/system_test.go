package system

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/voiceassist/backend/openai"
)

func TestTheEmbedderCountsWhatItIsAskedFor(t *testing.T) {
	t.Parallel()
	e, err := StartEmbedder(t.Context(), 40)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	c, err := openai.Open(openai.Options{BaseURL: e.URL, EmbeddingModel: model, EmbeddingDim: 40})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for _, texts := range [][]string{{"one", "two", "three"}, {"two", "four"}} {
		vectors, err := c.Embed(t.Context(), texts)
		if err != nil {
			t.Fatal(err)
		}
		if len(vectors) != len(texts) || len(vectors[0]) != 40 || fmt.Sprint(vectors[0]) == fmt.Sprint(vectors[1]) {
			t.Errorf("the vectors of %v are %v", texts, vectors)
		}
	}
	if got, want := e.Account(), (Embeddings{Texts: 5, Distinct: 4, Largest: 3}); got != want {
		t.Errorf("Account() = %+v, want %+v", got, want)
	}
}

// TestAMeterTellsAProcessFromItsChildren has a shell use processor time in a
// child that it waits for.
func TestAMeterTellsAProcessFromItsChildren(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `read line; sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo done; read line`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m := StartMeter(t.Context(), Family{Name: "shell", PID: cmd.Process.Pid}, Family{Name: "us", PID: os.Getpid(), Alone: true})
	fmt.Fprintln(in, "go")
	var word string
	if _, err := fmt.Fscan(out, &word); err != nil {
		t.Fatal(err)
	}
	usage := m.Stop()
	fmt.Fprintln(in, "end")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if child, shell := usage[Readers("shell")].CPU, usage["shell"].CPU; child == 0 || child <= shell {
		t.Errorf("the child has used %v and the shell %v, want the child to have used more", child, shell)
	}
	if usage["us"].PeakMB == 0 {
		t.Error("this process has no memory")
	}
	if _, ok := usage[Readers("us")]; ok {
		t.Error("the children of a process that is measured alone are measured")
	}
}
