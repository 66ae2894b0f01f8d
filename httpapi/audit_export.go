package httpapi

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	voiceassist "github.com/voiceassist/backend"
)

// auditExportQuery are the parameters of an export.
var auditExportQuery = append(queryOf[AuditQuery](), formField{
	name: "format", doc: "csv by default", schema: object{"type": "string", "enum": []any{"csv", "json"}},
})

// exportAudit sends the entries that the query selects as a file, oldest first,
// while they are read: neither the whole nor a page of it is ever in memory. A
// client that goes away ends the reading; a reading that fails breaks the
// connection off, so that nobody takes a part for the whole. The export itself
// is audited before it begins.
func (s *Server) exportAudit(c *fiber.Ctx) error {
	format := c.Query("format", "csv")
	f, err := auditQueryOf(c).filter()
	if err != nil {
		return err
	}
	body := &exportReader{}
	var rows rowWriter
	switch format {
	case "csv":
		rows = newCSVRows(&body.buf)
	case "json":
		rows = &jsonRows{out: &body.buf}
	default:
		return queryError("format", "must be csv or json")
	}
	leave, err := s.audits.enter(c.UserContext())
	if err != nil {
		return err
	}
	if err := s.o.Audit.Audit(c.UserContext(), exportEntry(c, format)); err != nil {
		leave()
		return err
	}
	s.adminEvent(c.UserContext(), "audit.exported", "")
	ctx, cancel := context.WithTimeout(c.UserContext(), writeTimeout)
	next, stop := iter.Pull2(s.o.Audit.EachAudit(ctx, f))
	body.fill, body.close = fillAudit(rows, next), func() { stop(); cancel(); leave() }
	c.Set("Content-Type", rows.mediaType())
	c.Set("Content-Disposition", attachment("audit-logs-"+time.Now().UTC().Format("20060102T150405Z")+"."+format))
	c.Context().SetBodyStream(body, -1)
	return nil
}

// auditQueryOf reads an AuditQuery where huma does not.
func auditQueryOf(c *fiber.Ctx) AuditQuery {
	return AuditQuery{
		Action: c.Query("action"), UserID: c.Query("user_id"), Level: c.Query("level"), From: c.Query("from"), To: c.Query("to"),
		ResourceType: c.Query("resource_type"), ResourceID: c.Query("resource_id"), Success: c.Query("success"),
	}
}

// exportEntry tells what was exported: the filters by their names only, since
// anything can stand in them.
func exportEntry(c *fiber.Ctx, format string) voiceassist.AuditEntry {
	var filters []string
	for _, name := range []string{"action", "user_id", "level", "from", "to", "resource_type", "resource_id", "success"} {
		if c.Query(name) != "" {
			filters = append(filters, name)
		}
	}
	return voiceassist.AuditEntry{
		Action: "audit.exported", Level: voiceassist.AuditWarning, ResourceType: "audit",
		Details: map[string]any{"format": format, "filters": filters},
	}
}

// exportReader is the body of an export. It makes a part of it whenever it is
// read.
type exportReader struct {
	fill  func() error // adds the next row to buf, or the end and io.EOF
	close func()

	buf bytes.Buffer
	err error // at the end: io.EOF, or why it ended
}

// exportChunk is about how many bytes are made at a time.
const exportChunk = 16 << 10

// Read implements io.Reader.
func (e *exportReader) Read(p []byte) (int, error) {
	for e.buf.Len() < exportChunk && e.err == nil {
		e.err = e.fill()
	}
	if e.buf.Len() == 0 {
		return 0, e.err
	}
	return e.buf.Read(p)
}

// fillAudit returns the fill of an export of the audit log.
func fillAudit(rows rowWriter, next func() (voiceassist.AuditRecord, error, bool)) func() error {
	return func() error {
		r, err, more := next()
		if err != nil {
			return fmt.Errorf("export the audit log: %w", err)
		}
		if more {
			return rows.row(auditOf(r))
		}
		if err := rows.end(); err != nil {
			return err
		}
		return io.EOF
	}
}

// Close implements io.Closer. fasthttp calls it however the reply ends.
func (e *exportReader) Close() error {
	if e.close != nil {
		e.close()
		e.close = nil
	}
	return nil
}

// rowWriter is a format of an export. It writes into the reader's buffer.
type rowWriter interface {
	mediaType() string
	row(b auditBody) error
	end() error
}

// jsonRows is an array with an entry on each line.
type jsonRows struct {
	out   *bytes.Buffer
	begun bool
}

func (*jsonRows) mediaType() string { return "application/json; charset=utf-8" }

func (j *jsonRows) row(b auditBody) error {
	j.separate("[", ",\n")
	return marshal(j.out, b)
}

func (j *jsonRows) end() error {
	j.separate("[]\n", "]\n")
	return nil
}

// separate writes what comes first, or later.
func (j *jsonRows) separate(first, later string) {
	if j.begun {
		first = later
	}
	j.begun = true
	j.out.WriteString(first)
}

// csvRows is RFC 4180, safe to open in a spreadsheet. Lines end in \n alone,
// since the writer would otherwise drop the carriage returns of cells.
type csvRows struct {
	out   *csv.Writer
	begun bool
}

func newCSVRows(out *bytes.Buffer) *csvRows {
	return &csvRows{out: csv.NewWriter(out)}
}

func (*csvRows) mediaType() string { return "text/csv; charset=utf-8" }

var csvHeader = []string{
	"timestamp", "id", "level", "action", "user_id", "user_email", "resource_type", "resource_id", "success", "details",
	"ip_address", "request_id", "trace_id", "seq", "hash",
}

func (w *csvRows) row(b auditBody) error {
	details, err := json.Marshal(b.Details)
	if err != nil {
		return err
	}
	seq := ""
	if b.Seq != nil {
		seq = strconv.FormatInt(*b.Seq, 10)
	}
	cells := []string{
		b.Timestamp, b.ID, string(b.Level), b.Action, or(b.UserID, ""), or(b.UserEmail, ""), b.ResourceType, b.ResourceID,
		strconv.FormatBool(b.Success), string(details), or(b.IPAddress, ""), b.RequestID, b.TraceID, seq, or(b.Hash, ""),
	}
	for i, cell := range cells {
		cells[i] = safeCell(cell)
	}
	return w.write(cells)
}

func (w *csvRows) end() error { return w.write() }

// write writes rows, after the header if that has not been written.
func (w *csvRows) write(rows ...[]string) error {
	if !w.begun {
		w.begun = true
		rows = append([][]string{csvHeader}, rows...)
	}
	return w.out.WriteAll(rows)
}

// safeCell puts an apostrophe before what a spreadsheet would take for a
// formula and run.
func safeCell(s string) string {
	if start := strings.TrimLeft(s, " "); start != "" && strings.ContainsRune("=+-@\t\r\n", rune(start[0])) {
		return "'" + s
	}
	return s
}
