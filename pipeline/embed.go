package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

// embed stores the vectors of all the generation's passages. More than fit into
// a part are left to parts.
func (w *Worker) embed(ctx context.Context, a *attempt, p postgres.Publication) error {
	all := postgres.Span{First: 0, Last: p.Passages - 1}
	if p.Passages <= w.partPassages() {
		return w.embedSpan(ctx, a, p, all)
	}
	missing, err := w.Ledger.Unembedded(ctx, a.DocumentID, p.Generation, a.embedder.Profile())
	switch {
	case err != nil || len(missing) == 0:
		return err
	case len(missing) > w.partPassages():
		return w.splitPassages(p, missing)
	}
	return w.embedSpan(ctx, a, p, postgres.Span{First: missing[0], Last: missing[len(missing)-1]})
}

// embedSpan stores the vectors of some of the generation's passages.
func (w *Worker) embedSpan(ctx context.Context, a *attempt, p postgres.Publication, s postgres.Span) error {
	total := s.Last - s.First + 1
	return w.eachBatchOf(ctx, a, p.Generation, s, func(passages []voiceassist.Passage, done int) error {
		for some := range slices.Chunk(passages, embedBatch) {
			if !w.mayEmbed() {
				return errNotEmbedded
			}
			if err := w.embedPassages(ctx, a, p.Info.Title, some); err != nil {
				return err
			}
		}
		return w.progress(ctx, a, postgres.Progress{
			Stage: voiceassist.StageEmbed, Processed: done, Total: total, Percent: embedShare.at(done, total),
		})
	})
}

// errNotEmbedded ends an attempt that was about to send passages when that was
// forbidden. The next one goes without vectors.
var errNotEmbedded = &voiceassist.Paced{
	After: time.Second, Err: voiceassist.Errorf(voiceassist.Conflict, "texts may no longer be sent to outside models"),
}

func (w *Worker) mayEmbed() bool { return w.MayEmbed == nil || w.MayEmbed() }

// What others are embedding is looked for after firstLook, then half as often
// each time down to every lastLook.
const (
	firstLook = 20 * time.Millisecond
	lastLook  = 500 * time.Millisecond
)

// embedPassages stores the vectors of passages, each of which is made by one
// worker only: this one claims those that are missing, makes them, and then waits
// for those that others have claimed, holding no claims of its own.
func (w *Worker) embedPassages(ctx context.Context, a *attempt, title string, passages []voiceassist.Passage) error {
	texts, digests := digestTexts(title, passages)
	for look := firstLook; ; look = min(2*look, lastLook) {
		claimed, others, err := w.Ledger.ClaimTexts(ctx, a.Attempt, a.embedder.Profile(), digests)
		if err != nil {
			return err
		}
		if len(claimed) > 0 {
			if err := w.embedClaimed(ctx, a, claimed, textsOf(claimed, texts, digests)); err != nil {
				return err
			}
		}
		if others == 0 {
			return nil
		}
		sleep(ctx, look)
		if err := w.Ledger.DropLapsedClaims(ctx); err != nil {
			return err
		}
	}
}

// textsOf returns the texts with the claimed digests.
func textsOf(claimed [][]byte, texts []string, digests [][]byte) []string {
	known := make(map[[32]byte]string, len(texts))
	for i, d := range digests {
		known[[32]byte(d)] = texts[i]
	}
	some := make([]string, len(claimed))
	for i, d := range claimed {
		some[i] = known[[32]byte(d)]
	}
	return some
}

// embedClaimed makes and stores the vectors of texts that the attempt has
// claimed, or gives the claims up.
func (w *Worker) embedClaimed(ctx context.Context, a *attempt, claimed [][]byte, texts []string) error {
	vectors, err := w.request(ctx, a, texts)
	if err == nil {
		packed := make([][]byte, len(vectors))
		for i, v := range vectors {
			packed[i] = packHalf(v)
		}
		err = w.Ledger.AddVectors(ctx, a.Attempt, a.embedder.Profile(), claimed, packed)
	}
	if err != nil {
		w.dropClaims(ctx, a, claimed)
		return err
	}
	w.Metrics.textsEmbedded(len(texts))
	return nil
}

// dropClaims gives claims up, also when ctx has ended. Those it cannot give up
// lapse with the attempt.
func (w *Worker) dropClaims(ctx context.Context, a *attempt, claimed [][]byte) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	if err := w.Ledger.DropClaims(ctx, a.Attempt, a.embedder.Profile(), claimed); err != nil {
		w.Log.WarnContext(ctx, "claims not dropped", slog.String("job_id", a.JobID.String()), slog.Any("error", err))
	}
}

// request has texts embedded when the gate lets them through. If the service
// does not take them now the attempt will wait at the gate.
func (w *Worker) request(ctx context.Context, a *attempt, texts []string) ([][]float32, error) {
	vectors, err := w.passGate(ctx, a, texts)
	if isNotNow(err) {
		a.gate = voiceassist.GateEmbed
	}
	if err != nil {
		return nil, fmt.Errorf("embed %d passages: %w", len(texts), err)
	}
	return vectors, nil
}

func (w *Worker) passGate(ctx context.Context, a *attempt, texts []string) ([][]float32, error) {
	if w.Gate == nil {
		return a.embedder.Embed(ctx, texts)
	}
	tokens := 0
	for _, text := range texts {
		tokens += voiceassist.CountTokens(text)
	}
	if err := w.Gate.Enter(ctx, len(texts), tokens); err != nil {
		return nil, err
	}
	vectors, err := a.embedder.Embed(ctx, texts)
	w.Gate.Left(ctx, err)
	return vectors, err
}

// isNotNow reports whether err says that a service is busy or down.
func isNotNow(err error) bool {
	_, paced := errors.AsType[*voiceassist.Paced](err)
	return paced || voiceassist.CodeOf(err) == voiceassist.Unavailable
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
