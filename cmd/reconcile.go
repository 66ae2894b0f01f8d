package cmd

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/qdrant"
)

// reconcile makes the index what the ledger says it is: documents whose points
// are not all there are indexed again, points that no document answers for are
// removed. A document that is being worked on is left to its job.
func (e *engines) reconcile(ctx context.Context, log *slog.Logger) error {
	stored, err := e.index.Documents(ctx)
	if err != nil {
		return err
	}
	var incomplete []uuid.UUID
	if err := e.ledger.Indexed(ctx, func(id uuid.UUID, generation, passages int) error {
		key := qdrant.Generation{DocumentID: id, Number: generation}
		if stored[key].Active != passages {
			incomplete = append(incomplete, id)
		}
		delete(stored, key)
		return nil
	}); err != nil {
		return err
	}
	orphans, err := e.removeOrphans(ctx, stored)
	if err != nil {
		return err
	}
	if len(incomplete) > 0 {
		if _, err := e.ledger.Reindex(ctx, incomplete); err != nil {
			return err
		}
	}
	if len(incomplete) > 0 || orphans > 0 {
		log.InfoContext(ctx, "index reconciled with the ledger",
			slog.Int("documents_to_reindex", len(incomplete)), slog.Int("orphan_generations", orphans))
	}
	return nil
}

// removeOrphans removes the points of generations that are not the active one
// of a living document, unless a job is still building them.
func (e *engines) removeOrphans(ctx context.Context, stored map[qdrant.Generation]qdrant.Tally) (n int, err error) {
	for g := range stored {
		busy, _, err := e.ledger.Jobs(ctx, voiceassist.JobFilter{DocumentID: &g.DocumentID, State: voiceassist.JobRunning, Limit: 1})
		if err != nil {
			return n, err
		}
		if len(busy) > 0 {
			continue
		}
		// A job may have published the generation since it was listed.
		if d, err := e.ledger.Document(ctx, g.DocumentID); err == nil && d.Generation == g.Number {
			continue
		}
		if err := e.index.DeleteGeneration(ctx, g.DocumentID, g.Number); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
