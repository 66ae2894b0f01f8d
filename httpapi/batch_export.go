package httpapi

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"iter"
	"strconv"

	"github.com/gofiber/fiber/v2"

	voiceassist "github.com/voiceassist/backend"
)

var fatesHeader = []string{
	"name", "size", "sha256", "state", "error_code", "error_message", "document_id", "job_id", "added_at", "received_at", "finished_at",
}

// exportBatch sends every file of a batch with its fate, in the order of the
// manifest, while the rows are read. It is audited before it begins.
func (s *Server) exportBatch(c *fiber.Ctx) error {
	id, err := parseID(c.Params("id"), "batch")
	if err != nil {
		return err
	}
	if _, err := s.o.Batches.Batch(c.UserContext(), id); err != nil {
		return err
	}
	leave, err := s.audits.enter(c.UserContext())
	if err != nil {
		return err
	}
	if err := s.o.Auditor.Audit(c.UserContext(), voiceassist.AuditEntry{
		Action: "batch.exported", ResourceType: "batch", ResourceID: id.String(),
	}); err != nil {
		leave()
		return err
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), writeTimeout)
	next, stop := iter.Pull2(s.o.Batches.EachBatchFile(ctx, id))
	body := &exportReader{close: func() { stop(); cancel(); leave() }}
	body.fill = fillFates(&body.buf, next)
	c.Set("Content-Type", "text/csv; charset=utf-8")
	c.Set("Content-Disposition", attachment("batch-"+id.String()+".csv"))
	c.Context().SetBodyStream(body, -1)
	return nil
}

// fillFates returns a function that writes the next line, at first the header,
// and io.EOF at the end.
func fillFates(buf *bytes.Buffer, next func() (voiceassist.BatchFile, error, bool)) func() error {
	out, begun := csv.NewWriter(buf), false
	write := func(cells []string) error {
		return out.WriteAll([][]string{cells})
	}
	return func() error {
		if !begun {
			begun = true
			return write(fatesHeader)
		}
		f, err, more := next()
		if err != nil {
			return err
		}
		if !more {
			return io.EOF
		}
		return write(fateCells(f))
	}
}

func fateCells(f voiceassist.BatchFile) []string {
	b := batchFileOf(f)
	cells := []string{
		b.Name, strconv.FormatInt(b.Size, 10), b.SHA256, string(b.State), string(b.ErrorCode), or(b.ErrorMessage, ""),
		or(b.DocumentID, ""), or(b.JobID, ""), b.AddedAt, or(b.ReceivedAt, ""), or(b.FinishedAt, ""),
	}
	for i, cell := range cells {
		cells[i] = safeCell(cell)
	}
	return cells
}
