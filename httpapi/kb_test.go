package httpapi_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

func TestADocumentSaysWhatEveryClientReads(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	id := s.mustUpload(admin.Access, "a.txt", "Metformin").at("id").(string)
	s.library.docs[0].State = voiceassist.DocumentCancelled
	r := s.want(200, s.do("GET", "/api/admin/kb/documents/"+id, "", as(admin.Access)))
	for name, want := range map[string]any{
		"document_id": id, "documentId": id, "id": id, "name": "a.txt", "filename": "a.txt", "status": "failed",
		"indexing_status": "failed", "indexingStatus": "failed", "indexed": false, "indexing_error": "Indexing was cancelled",
		"error_message": "Indexing was cancelled", "error_code": "cancelled", "lastIndexedAt": nil, "size": 9.0,
		"uploaded_by": admin.User.ID.String(), "superseded_by": nil,
	} {
		if diff := cmp.Diff(want, r.at("data", name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if r.at("error") != nil {
		t.Error("a failed document is not a failed request")
	}
	for status, want := range map[string]float64{"failed": 1, "indexed": 0, "": 1} {
		if got := s.do("GET", "/api/admin/kb/documents?status="+status, "", as(admin.Access)).at("total"); got != want {
			t.Errorf("status=%s: total %v, want %v", status, got, want)
		}
	}
	s.want(422, s.do("GET", "/api/admin/kb/documents?status=lost", "", as(admin.Access)))
}

func TestAnIndexedDocumentHasNoErrorOfItsLaterJobs(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	path := "/api/admin/kb/documents/" + s.mustUpload(admin.Access, "a.txt", "Metformin").at("id").(string)
	d := &s.library.docs[0]
	d.ErrorCode, d.ErrorMessage = voiceassist.ReasonCancelled, "Indexing was cancelled"
	for state, want := range map[voiceassist.DocumentState]any{voiceassist.DocumentIndexed: "", voiceassist.DocumentFailed: "cancelled"} {
		d.State = state
		r := s.want(200, s.do("GET", path, "", as(admin.Access)))
		if r.at("error_code") != want || (r.at("error_message") != nil) != (want != "") {
			t.Errorf("%s: %s", state, r.text)
		}
	}
}

func TestDeletingADocumentRepliesWithABody(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	for _, path := range []string{"/api/admin/kb/documents/", "/v1/api/admin/kb/"} {
		id := s.mustUpload(admin.Access, "a.txt", path).at("id").(string)
		r := s.want(200, s.do("DELETE", path+id, "", as(admin.Access)))
		if r.at("document_id") != id || r.at("status") != "deleted" || r.at("message") == nil {
			t.Errorf("delete = %s", r.text)
		}
		s.want(404, s.do("DELETE", path+id, "", as(admin.Access)))
	}
}

func TestReindexingNamesItsJobs(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	one := s.mustUpload(admin.Access, "a.txt", "one").at("id").(string)
	s.mustUpload(admin.Access, "b.txt", "two")
	for body, want := range map[string]float64{"": 2, "{}": 2, `{"document_ids":["` + one + `"]}`: 1, `{"documentIds":["` + one + `"]}`: 1} {
		r := s.want(202, s.do("POST", "/api/admin/kb/reindex", body, as(admin.Access)))
		ids, _ := r.at("job_ids").([]any)
		if r.at("job_count") != want || len(ids) != int(want) || r.at("job_id") != ids[0] {
			t.Errorf("reindex %s = %s", body, r.text)
		}
	}
	s.want(404, s.do("POST", "/api/admin/kb/reindex", `{"document_ids":["nonsense"]}`, as(admin.Access)))
	s.want(202, s.do("POST", "/api/admin/kb/documents/"+one+"/reindex", "", as(admin.Access)))
}

func TestJobsAreAnArrayWithTimelines(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	job := s.mustUpload(admin.Access, "a.txt", "one").at("job_id").(string)
	list := s.want(200, s.do("GET", "/api/admin/kb/jobs", "", as(admin.Access)))
	rows, _ := list.at("data").([]any)
	if list.at("total") != 1.0 || list.at("offset") != 0.0 || list.at("limit") != 20.0 {
		t.Errorf("beside the array: %s", list.text)
	}
	if len(rows) != 1 || list.header.Get("X-Total-Count") != "1" {
		t.Fatalf("jobs = %s", list.text)
	}
	r := s.want(200, s.do("GET", "/api/admin/kb/jobs/"+job, "", as(admin.Access)))
	want := map[string]any{"attempt": 1.0, "stage": "extract", "result": "done", "detail": "", "took_ms": 1.5, "at": r.at("created_at")}
	if diff := cmp.Diff([]any{want}, r.at("timeline")); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}
	if r := s.want(200, s.do("POST", "/api/admin/kb/jobs/"+job+"/cancel", "", as(admin.Access))); r.at("state") != "cancelled" {
		t.Errorf("cancel = %s", r.text)
	}
	s.want(409, s.do("POST", "/api/admin/kb/jobs/"+job+"/retry", "", as(admin.Access)))
}

func TestTheTimelineOfADocumentHasItsParts(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	id := s.mustUpload(admin.Access, "a.txt", "one").at("id").(string)
	r := s.want(200, s.do("GET", "/api/admin/kb/documents/"+id+"/timeline", "", as(admin.Access)))
	events, _ := r.at("events").([]any)
	if len(events) != 2 || r.at("total") != 2.0 {
		t.Fatalf("the timeline is %s", r.text)
	}
	whole, part := events[0].(map[string]any), events[1].(map[string]any)
	if whole["part"] != nil || whole["started_at"] == whole["ended_at"] || whole["stage"] != "extract" {
		t.Errorf("the job's own event is %v", whole)
	}
	want := map[string]any{"id": doneJob.String(), "first": 65.0, "last": 96.0}
	if diff := cmp.Diff(want, part["part"]); diff != "" {
		t.Errorf("the part's event (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{map[string]any{"stage": "extract", "runs": 2.0, "took_ms": 3.0}}, r.at("data", "stages")); diff != "" {
		t.Errorf("the stages (-want +got):\n%s", diff)
	}
	s.want(404, s.do("GET", "/api/admin/kb/documents/"+uuid.NewString()+"/timeline", "", as(admin.Access)))
}

func TestSearchReturnsAnArrayOfPassages(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	id := s.want(202, s.upload(admin.Access, "/kb/documents", part{"file", "a.txt", "about Metformin"}, part{"source_type", "", "guideline"})).at("id")
	for body, want := range map[string]int{
		`{"query":"Metformin"}`: 1,
		`{"query":"Metformin","limit":1000,"filters":{"sourceType":"guideline"}}`: 1,
		`{"query":"Metformin","filters":{"source_type":"note"}}`:                  0,
	} {
		r := s.want(200, s.do("POST", "/api/kb/search", body, as(admin.Access)))
		hits, ok := r.at("data").([]any)
		if !ok || len(hits) != want {
			t.Fatalf("search %s = %s", body, r.text)
		}
		if r.at("total") != float64(want) || r.at("offset") != 0.0 || r.at("limit") == nil {
			t.Errorf("beside the array: %s", r.text)
		}
		if want == 1 {
			hit := hits[0].(map[string]any)
			if hit["documentId"] != id || hit["excerpt"] != "Metformin" || hit["pageNumber"] != 1.0 || hit["score"] != 1.0 {
				t.Errorf("hit = %v", hit)
			}
		}
	}
	for _, body := range []string{`{}`, `{"query":""}`, `{"query":"  "}`, `{"query":"x","limit":0}`} {
		s.want(422, s.do("POST", "/api/kb/search", body, as(admin.Access)))
	}
}

func TestPagesAreSentAsTheyAreStored(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	id := s.mustUpload(admin.Access, "a.txt", "one").at("id").(string)
	r := s.want(200, s.do("GET", "/api/kb/documents/"+id+"/text?page=2&generation=1", "", as(admin.Access)))
	if r.at("text") != "Metformin is <first-line> & cheap." || r.at("page") != 2.0 {
		t.Errorf("page = %s", r.text)
	}
	if r.at("generation") != 1.0 {
		t.Errorf("page = %s", r.text)
	}
	s.library.docs[0].Generation = 3
	if r := s.want(200, s.do("GET", "/api/kb/documents/"+id+"/text", "", as(admin.Access))); r.at("page") != 1.0 || r.at("generation") != 3.0 {
		t.Errorf("page = %s", r.text)
	}
	s.want(404, s.do("GET", "/api/kb/documents/"+id+"/text?page=3", "", as(admin.Access)))
	s.want(422, s.do("GET", "/api/kb/documents/"+id+"/text?page=0", "", as(admin.Access)))
}

func TestStatisticsCountCancelledDocumentsAsFailed(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	r := s.want(200, s.do("GET", "/api/admin/kb/stats", "", as(admin.Access)))
	if diff := cmp.Diff(map[string]any{"failed": 3.0}, r.at("by_status")); diff != "" {
		t.Errorf("by_status (-want +got):\n%s", diff)
	}
}
