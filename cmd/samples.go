package cmd

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/samples"
)

// sampleQuestion is a question that the samples answer.
const sampleQuestion = "How should a nosebleed be stopped at home?"

// samplesMarker is the file in DATA_DIR that says that the samples have been
// loaded: one that an administrator deletes does not come back.
const samplesMarker = "samples-loaded"

// samplesPatience is how long the first start waits for the samples.
const samplesPatience = 2 * time.Minute

// loadSamples takes the sample library in, once, and waits until every
// document has ended. It returns how many it loaded.
func (s *system) loadSamples(ctx context.Context) (int, error) {
	marker := filepath.Join(s.cfg.DataDir, samplesMarker)
	if _, err := os.Stat(marker); err == nil {
		return 0, nil
	}
	ids, err := s.acceptSamples(ctx)
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, samplesPatience)
	defer cancel()
	return len(ids), s.awaitDocuments(ctx, ids)
}

func (s *system) acceptSamples(ctx context.Context) ([]uuid.UUID, error) {
	intake := s.intake(s.cfg, s.log)
	var ids []uuid.UUID
	for _, each := range samples.Library {
		content, err := fs.ReadFile(samples.FS, each.Filename)
		if err != nil {
			return nil, err
		}
		received, err := intake.Receive(ctx, each.Filename, bytes.NewReader(content))
		if err != nil {
			return nil, err
		}
		meta := each
		meta.Queue = voiceassist.QueueBulk
		accepted, err := intake.Commit(ctx, received, meta)
		if err != nil {
			return nil, err
		}
		ids = append(ids, accepted.Document.ID)
	}
	return ids, nil
}

// awaitDocuments waits until each document is indexed or has failed.
func (s *system) awaitDocuments(ctx context.Context, ids []uuid.UUID) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		_, busy, err := s.ledger.Documents(ctx, voiceassist.DocumentFilter{
			IDs: ids, States: []voiceassist.DocumentState{voiceassist.DocumentUploaded, voiceassist.DocumentProcessing}, Limit: 1,
		})
		if err != nil || busy == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("the samples are not indexed yet; they will be, the log says what holds them up")
		case <-tick.C:
		}
	}
}
