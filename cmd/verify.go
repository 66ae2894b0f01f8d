package cmd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

// verify checks the chain of the audit log in the database at DATABASE_URL, or
// in that of the system that runs on DATA_DIR. It fails when the chain is
// broken.
func verify(ctx context.Context, c call) error {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	audit := flags.Bool("audit", false, "check the audit log")
	if err := flags.Parse(c.args); err != nil || !*audit || flags.NArg() > 0 {
		return errUsage
	}
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
