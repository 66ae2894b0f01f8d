package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/pipeline"
	"github.com/voiceassist/backend/postgres"
)

// verify compares ledger, index, blob store and queue of the configured
// services, or of the system that runs on DATA_DIR. With --audit it checks
// the chain of the audit log instead.
func verify(ctx context.Context, c call) error {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	audit := flags.Bool("audit", false, "check the audit log")
	repair := flags.Bool("repair", false, "repair what can be repaired without a person")
	deep := flags.Bool("deep", false, "compare the bytes of all originals and the texts of all passages")
	inJSON := flags.Bool("json", false, "print JSON")
	if err := flags.Parse(c.args); err != nil || flags.NArg() > 0 || *audit && (*repair || *deep || *inJSON) {
		return errUsage
	}
	if *audit {
		return verifyAudit(ctx, c)
	}
	o := pipeline.VerifyOptions{Repair: *repair, Deep: *deep}
	v, err := verifyLibrary(ctx, c, o)
	if err != nil {
		return trouble{err}
	}
	if *inJSON {
		err = json.NewEncoder(c.out).Encode(verificationJSON(v))
	} else {
		err = tellVerification(c.out, v)
	}
	if err == nil && len(v.Counts) > 0 {
		err = fmt.Errorf("%w: %d", errDifferences, total(v.Counts))
	}
	return err
}

// errDifferences is what verify ends with when it found some.
var errDifferences = errors.New("differences")

// trouble is an error of a command whose failure means something else.
type trouble struct{ error }

func (t trouble) Unwrap() error { return t.error }

// verifyLibrary verifies with the engines that cfg names, or with those of the
// system that runs on DATA_DIR.
func verifyLibrary(ctx context.Context, c call, o pipeline.VerifyOptions) (v voiceassist.Verification, err error) {
	cfg, err := reachEngines(c.cfg)
	if err != nil {
		return v, err
	}
	err = withEngines(ctx, cfg, func(ctx context.Context, e *engines) error {
		began := time.Now()
		if v, err = e.verifier(c.log).Verify(ctx, o); err != nil {
			return err
		}
		v.StartedAt, v.FinishedAt = &began, new(time.Now())
		return nil
	})
	return v, err
}

// verifier compares what the engines hold.
func (e *engines) verifier(log *slog.Logger) *pipeline.Verifier {
	v := &pipeline.Verifier{Ledger: e.ledger, Index: e.index, Blobs: e.blobs, Queue: e.queue, Log: log}
	if e.embedder != nil {
		v.Profile = e.embedder.Profile()
	}
	return v
}

func total(counts map[voiceassist.DifferenceKind]int) (n int) {
	for _, each := range counts {
		n += each
	}
	return n
}

func tellVerification(out io.Writer, v voiceassist.Verification) error {
	for _, what := range slices.Sorted(maps.Keys(v.Checked)) {
		fmt.Fprintf(out, "checked  %d %s\n", v.Checked[what], what)
	}
	for _, d := range v.Differences {
		done := "to repair"
		switch {
		case d.Repaired:
			done = "repaired"
		case d.Failure != "":
			done = d.Failure
		}
		fmt.Fprintf(out, "%-16s %s  %d  %s; %s: %s\n", d.Kind, d.ID, d.Count, d.Detail, done, d.Remedy)
	}
	if more := total(v.Counts) - len(v.Differences); more > 0 {
		fmt.Fprintf(out, "and %d more\n", more)
	}
	_, err := fmt.Fprintf(out, "found    %d differences, repaired %d, in %s\n", total(v.Counts), v.Repaired, v.FinishedAt.Sub(*v.StartedAt).Round(time.Millisecond))
	return err
}

// verificationJSON is a verification as scripts read it.
func verificationJSON(v voiceassist.Verification) any {
	return map[string]any{
		"started_at": v.StartedAt, "finished_at": v.FinishedAt, "repair": v.Repair,
		"checked": v.Checked, "counts": v.Counts, "repaired": v.Repaired, "differences": append([]voiceassist.Difference{}, v.Differences...), // never null
	}
}

func verifyAudit(ctx context.Context, c call) error {
	cfg, release, err := reachLedger(ctx, c.cfg, c.log)
	if err != nil {
		return err
	}
	defer release()
	return withLedger(ctx, cfg, func(db *postgres.DB) error {
		v, err := db.VerifyAudit(ctx, voiceassist.AuditRange{})
		if err != nil {
			return err
		}
		return tellVerdict(c.out, v)
	})
}

// errBroken is a chain that is not in order.
var errBroken = errors.New("the audit log was tampered with")

func tellVerdict(out io.Writer, v voiceassist.AuditVerdict) error {
	fmt.Fprintf(out, "checked  %d entries, from %d\n", v.Checked, v.Anchor.Seq+1)
	fmt.Fprintf(out, "head     %d %x\n", v.Head.Seq, v.Head.Hash)
	fmt.Fprintf(out, "waiting  %d entries for their place in the chain\n", v.Unchained)
	if v.Bad == nil {
		fmt.Fprintln(out, "valid    note the head elsewhere, to know this chain again")
		return nil
	}
	fmt.Fprintf(out, "INVALID  at %d", v.Bad.Seq)
	if v.Bad.ID != [16]byte{} {
		fmt.Fprintf(out, ", entry %s", v.Bad.ID)
	}
	fmt.Fprintf(out, ": %s\n", v.Bad.Why)
	return errBroken
}
