package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
)

// withLedger starts a server whose library is the real ledger, with a document.
func withLedger(t *testing.T) (*suite, string) {
	t.Helper()
	s := start(t, func(o *httpapi.Options) { o.Ledger = o.Chats.(httpapi.Ledger) })
	a, _, err := s.db.AddDocument(t.Context(), voiceassist.Received{
		Filename: "a.txt", MediaType: voiceassist.MediaText, SHA256: strings.Repeat("0", 64), Size: 9, BlobKey: "a",
	}, voiceassist.DocumentMeta{Title: "Old title", SourceType: "paper"})
	if err != nil {
		t.Fatal(err)
	}
	return s, "/api/admin/kb/documents/" + a.Document.ID.String()
}

func TestEditingADocumentRepliesWithTheDocument(t *testing.T) {
	t.Parallel()
	s, path := withLedger(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	const body = `{"title":" New title ","sourceType":"guideline","specialty":"surgery","year":2021,"doi":"10.1/x",
		"authors":["A. One"," B. Two ",""],"journal":"J","pubmedId":"123","url":"https://example.org/x","unknown":1,"version":1}`
	r := s.want(200, s.do("PATCH", path, body, as(admin.Access)))
	for name, want := range map[string]any{
		"title": "New title", "sourceType": "guideline", "specialty": "surgery", "category": "", "version": 2.0,
		"metadata": map[string]any{
			"year": 2021.0, "doi": "10.1/x", "authors": []any{"A. One", "B. Two"}, "journal": "J", "pubmed_id": "123", "url": "https://example.org/x",
		},
	} {
		if diff := cmp.Diff(want, r.at("data", name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if flat := s.want(200, s.do("PATCH", "/v1"+path, `{"specialty":"","authors":[],"year":0}`, as(admin.Access))); flat.at("specialty") != "" ||
		flat.at("data") != nil || flat.at("metadata", "authors") != nil || flat.at("metadata", "year") != nil || flat.at("metadata", "doi") != "10.1/x" {
		t.Errorf("flat = %s", flat.text)
	}
	var fields string
	s.scan(&fields, `SELECT details ->> 'fields' FROM audit_entries WHERE action = 'document.updated' AND user_id = $1 ORDER BY at LIMIT 1`, admin.User.ID)
	if want := `["authors", "doi", "journal", "pubmed_id", "source_type", "specialty", "title", "url", "year"]`; fields != want {
		t.Errorf("the audit log says %s, want %s", fields, want)
	}
	s.want(200, s.do("PATCH", path, `{}`, as(admin.Access)))
	if n := s.count(`SELECT count(*) FROM audit_entries WHERE action = 'document.updated'`); n != 2 {
		t.Errorf("%d rows in the audit log, want 2: an edit that changes nothing is none", n)
	}
}

func TestEditsThatCannotBeTakenChangeNothing(t *testing.T) {
	t.Parallel()
	s, path := withLedger(t)
	admin, viewer := s.signIn(voiceassist.RoleAdmin), s.signIn(voiceassist.RoleViewer)
	for body, want := range map[string]int{
		`{"title":""}`:            422,
		`{"title":"  "}`:          422,
		`{"title":7}`:             422,
		`{"title":"a\u0000b"}`:    422,
		`{"title":"a\nb"}`:        422,
		`{"year":-1}`:             422,
		`{"year":123456789}`:      422,
		`{"year":"last"}`:         422,
		`{"authors":"A"}`:         422,
		`{"authors":["a\u0007"]}`: 422,
		`{"url":"javascript:alert(1)","title":"x"}`:                     422,
		`{"version":7,"title":"x"}`:                                     409,
		fmt.Sprintf(`{"specialty":%q}`, strings.Repeat("x", 501)):       422,
		fmt.Sprintf(`{"authors":[%s"x"]}`, strings.Repeat(`"x",`, 200)): 422,
		`{`: 400,
	} {
		r := s.want(want, s.do("PATCH", path, body, as(admin.Access)))
		if r.at("success") != false {
			t.Errorf("%s: %s", body, r.text)
		}
	}
	s.want(403, s.do("PATCH", path, `{"title":"x"}`, as(viewer.Access)))
	s.want(401, s.do("PATCH", path, `{"title":"x"}`))
	s.want(404, s.do("PATCH", "/api/admin/kb/documents/nonsense", `{"title":"x"}`, as(admin.Access)))
	s.want(404, s.do("PATCH", "/api/admin/kb/documents/"+uuid.NewString(), `{"title":"x"}`, as(admin.Access)))
	if r := s.want(200, s.do("GET", path, "", as(admin.Access))); r.at("title") != "Old title" || r.at("version") != 1.0 {
		t.Errorf("document = %s", r.text)
	}
}
