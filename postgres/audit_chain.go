package postgres

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// The audit chain. The hash of an entry is the SHA-256 of its canonical JSON:
// one object in UTF-8 without white space, its names and those of the objects in
// it in the order of their bytes, characters escaped only where JSON demands it
// (and U+2028 and U+2029), numbers as jsonb prints them, digests in lower-case
// hex, times in UTC as 2006-01-02T15:04:05.000000Z:
//
//	{"action":…,"at":…,"details":{…},"id":…,"level":…,"person":…,"prev_hash":…,
//	 "request_id":…,"resource_id":…,"resource_type":…,"seq":…,"success":…,
//	 "trace_id":…,"user_id":…}
//
// person is null or the SHA-256 of {"email":…,"ip":…,"salt":…}, of what stands
// in audit_people; user_id may be null; prev_hash is the hash of the entry
// before, 32 zero bytes for the first.

// auditLink is an entry as the chain sees it.
type auditLink struct {
	entry   canonicalEntry
	id      uuid.UUID
	at      time.Time
	details []byte
	seq     int64
	prev    []byte
	hash    []byte

	person []byte // the digest
	known  bool   // there is a row of the person
	email  string
	ip     string
	salt   []byte // nil: erased
}

// canonicalEntry is what is hashed. The order of the fields is that of their
// names.
type canonicalEntry struct {
	Action       string          `json:"action"`
	At           string          `json:"at"`
	Details      json.RawMessage `json:"details"`
	ID           string          `json:"id"`
	Level        string          `json:"level"`
	Person       *string         `json:"person"`
	PrevHash     string          `json:"prev_hash"`
	RequestID    string          `json:"request_id"`
	ResourceID   string          `json:"resource_id"`
	ResourceType string          `json:"resource_type"`
	Seq          int64           `json:"seq"`
	Success      bool            `json:"success"`
	TraceID      string          `json:"trace_id"`
	UserID       *uuid.UUID      `json:"user_id"`
}

// linkColumns are read by fields, in this order.
const linkColumns = `
	e.action, e.at, e.details, e.id, e.level, e.request_id, e.resource_id, e.resource_type, e.success, e.trace_id, e.user_id,
	e.person, coalesce(e.seq, 0), e.prev_hash, e.hash`

func (l *auditLink) fields() []any {
	e := &l.entry
	return []any{
		&e.Action, &l.at, &l.details, &l.id, &e.Level, &e.RequestID, &e.ResourceID, &e.ResourceType, &e.Success, &e.TraceID, &e.UserID,
		&l.person, &l.seq, &l.prev, &l.hash,
	}
}

// personFields are what linkColumns lack: p.entry_id IS NOT NULL, email, ip and
// salt of audit_people.
func (l *auditLink) personFields() []any { return []any{&l.known, &l.email, &l.ip, &l.salt} }

const personColumns = `p.entry_id IS NOT NULL, coalesce(p.email, ''), coalesce(p.ip, ''), p.salt`

func scanLink(row pgx.CollectableRow) (*auditLink, error) {
	var l auditLink
	return &l, row.Scan(l.fields()...)
}

// digest returns the hash that the entry has at a place of the chain.
func (l *auditLink) digest(seq int64, prev []byte) ([]byte, error) {
	e := l.entry
	details, err := canonicalJSON(l.details)
	if err != nil {
		return nil, fmt.Errorf("details of audit entry %s: %w", l.id, err)
	}
	e.Details, e.ID, e.Seq, e.PrevHash = details, l.id.String(), seq, hex.EncodeToString(prev)
	e.At = l.at.UTC().Format("2006-01-02T15:04:05.000000Z")
	if l.person != nil {
		e.Person = new(hex.EncodeToString(l.person))
	}
	return digestOf(e)
}

// personDigest is the digest that stands for a person in the chain.
func personDigest(email, ip string, salt []byte) []byte {
	digest, err := digestOf(struct {
		Email string `json:"email"`
		IP    string `json:"ip"`
		Salt  string `json:"salt"`
	}{email, ip, hex.EncodeToString(salt)})
	if err != nil {
		panic("postgres: strings cannot be encoded")
	}
	return digest
}

func digestOf(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
	return sum[:], nil
}

// canonicalJSON returns a JSON value with the names of its objects in order.
func canonicalJSON(raw []byte) ([]byte, error) {
	if string(raw) == "{}" {
		return raw, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), err
}

// auditWalk follows a chain from one entry to the next.
type auditWalk struct{ voiceassist.AuditLink }

// step takes the next entry, or says what is wrong with it.
func (w *auditWalk) step(l *auditLink) (*voiceassist.AuditFault, error) {
	if l.seq != w.Seq+1 {
		return &voiceassist.AuditFault{Seq: w.Seq + 1, Why: "the entry is missing"}, nil
	}
	hash, err := l.digest(l.seq, l.prev)
	if err != nil {
		return nil, err
	}
	var why string
	switch {
	case !bytes.Equal(l.prev, w.Hash):
		why = "the entry does not follow from the one before it"
	case !bytes.Equal(l.hash, hash):
		why = "the entry was changed"
	default:
		why = l.personFault()
	}
	if why != "" {
		return &voiceassist.AuditFault{Seq: l.seq, ID: l.id, Why: why}, nil
	}
	w.AuditLink = voiceassist.AuditLink{Seq: l.seq, Hash: hash}
	return nil, nil //nolint:nilnil // nothing is wrong
}

// personFault says what is wrong with the person's row, "" if nothing is. An
// erased one cannot be checked.
func (l *auditLink) personFault() string {
	switch {
	case (l.person != nil) != l.known:
		return "the personal data of the entry was added or removed"
	case l.salt != nil && !bytes.Equal(l.person, personDigest(l.email, l.ip, l.salt)):
		return "the personal data of the entry was changed"
	}
	return ""
}

// endsAt says what is wrong with the chain's end when everything up to the
// walk's place is in order and nothing follows.
func (w *auditWalk) endsAt(head voiceassist.AuditLink) *voiceassist.AuditFault {
	switch {
	case w.Seq < head.Seq:
		return &voiceassist.AuditFault{Seq: w.Seq + 1, Why: fmt.Sprintf("the entry is missing, with all up to %d", head.Seq)}
	case w.Seq > head.Seq:
		return &voiceassist.AuditFault{Seq: head.Seq + 1, Why: "the entry comes after the end of the chain"}
	case !bytes.Equal(w.Hash, head.Hash):
		return &voiceassist.AuditFault{Seq: w.Seq, Why: "the entry is not the one that the chain ended with"}
	}
	return nil
}
