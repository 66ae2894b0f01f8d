package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/postgres"
)

// embedBatch is how many texts are embedded in one request.
const embedBatch = 64

// profile names the vectors that this worker makes; "" is none.
func (w *Worker) profile() string {
	if w.Embedder == nil {
		return ""
	}
	return w.Embedder.Profile()
}

// embed stores the vectors of all the generation's passages. A text whose
// vector is stored is not embedded again.
func (w *Worker) embed(ctx context.Context, a *attempt, p postgres.Publication) error {
	return w.eachBatch(ctx, a, p, func(passages []voiceassist.Passage, done int) error {
		for len(passages) > 0 {
			if !w.mayEmbed() {
				return errNotEmbedded
			}
			n := min(embedBatch, len(passages))
			if err := w.embedMissing(ctx, p.Info.Title, passages[:n]); err != nil {
				return err
			}
			passages = passages[n:]
		}
		return w.progress(ctx, a, postgres.Progress{
			Stage: voiceassist.StageEmbed, Processed: done, Total: p.Passages,
			Percent: chunkedPercent + (embeddedPercent-chunkedPercent)*done/p.Passages,
		})
	})
}

// errNotEmbedded ends an attempt that was about to send passages when that was
// forbidden. The next one goes without vectors.
var errNotEmbedded = &voiceassist.Paced{
	After: time.Second, Err: voiceassist.Errorf(voiceassist.Conflict, "texts may no longer be sent to outside models"),
}

func (w *Worker) mayEmbed() bool { return w.MayEmbed == nil || w.MayEmbed() }

func (w *Worker) embedMissing(ctx context.Context, title string, passages []voiceassist.Passage) error {
	texts, digests := digestTexts(title, passages)
	stored, err := w.Ledger.Vectors(ctx, w.Embedder.Profile(), digests)
	if err != nil {
		return err
	}
	var missing []string
	var keys [][]byte
	for i, d := range digests {
		if _, ok := stored[[32]byte(d)]; !ok {
			stored[[32]byte(d)] = nil // the same text once
			missing, keys = append(missing, texts[i]), append(keys, d)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	vectors, err := w.askEmbedder(ctx, missing)
	if err != nil {
		return fmt.Errorf("embed %d passages: %w", len(missing), err)
	}
	packed := make([][]byte, len(vectors))
	for i, v := range vectors {
		packed[i] = packHalf(v)
	}
	w.Metrics.textsEmbedded(len(missing))
	return w.Ledger.AddVectors(ctx, w.Embedder.Profile(), keys, packed)
}

// vectors returns the stored vector of each passage; nil ones if the attempt
// embeds nothing.
func (w *Worker) vectors(ctx context.Context, a *attempt, title string, passages []voiceassist.Passage) ([][]float32, error) {
	dense := make([][]float32, len(passages))
	if a.embedder == nil {
		return dense, nil
	}
	_, digests := digestTexts(title, passages)
	stored, err := w.Ledger.Vectors(ctx, a.embedder.Profile(), digests)
	if err != nil {
		return nil, err
	}
	for i, d := range digests {
		packed, ok := stored[[32]byte(d)]
		if !ok {
			return nil, fmt.Errorf("the vector of passage %s is not stored", passages[i].ID)
		}
		dense[i] = unpackHalf(packed)
	}
	return dense, nil
}

func digestTexts(title string, passages []voiceassist.Passage) (texts []string, digests [][]byte) {
	for _, p := range passages {
		text := headedText(title, p)
		digest := sha256.Sum256([]byte(text))
		texts, digests = append(texts, text), append(digests, digest[:])
	}
	return texts, digests
}

// packHalf stores a vector as half floats, little endian: half the room, and
// an error below a thousandth for components of unit vectors.
func packHalf(v []float32) []byte {
	b := make([]byte, 0, 2*len(v))
	for _, f := range v {
		b = binary.LittleEndian.AppendUint16(b, toHalf(f))
	}
	return b
}

func unpackHalf(b []byte) []float32 {
	v := make([]float32, len(b)/2)
	for i := range v {
		v[i] = fromHalf(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return v
}
