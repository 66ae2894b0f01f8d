package httpapi_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// folder makes a folder and returns its id.
func (s *suite) folder(name, parent string, token func(*http.Request)) string {
	s.t.Helper()
	body := `{"name":"` + name + `","parentFolderId":null}`
	if parent != "" {
		body = `{"name":"` + name + `","parentFolderId":"` + parent + `"}`
	}
	id, _ := s.want(201, s.do("POST", "/api/folders", body, token)).at("id").(string)
	return id
}

func TestFolderLivesThroughTheAPI(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := s.signIn(voiceassist.RoleUser)
	token := as(in.Tokens.Access)
	made := s.want(201, s.do("POST", "/api/folders", `{"name":" Cardiology ","color":"#ff0000","icon":"❤️"}`, token))
	id, _ := made.at("id").(string)
	if made.at("name") != "Cardiology" || made.at("userId") != in.User.ID.String() || made.at("parent_folder_id") != nil || made.at("createdAt") == nil {
		t.Errorf("made is %s", made.text)
	}
	inner := s.folder("Stroke", id, token)
	s.want(200, s.do("PATCH", "/api/folders/"+inner, `{"color":"navy"}`, token))
	changed := s.want(200, s.do("PUT", "/api/folders/"+id, `{"name":"Heart","icon":null}`, token))
	if changed.at("name") != "Heart" || changed.at("icon") != nil || changed.at("color") != "#ff0000" {
		t.Errorf("changed is %s", changed.text)
	}
	if got := s.want(200, s.do("GET", "/api/folders/"+inner, "", token)); got.at("parentFolderId") != id || got.at("color") != "navy" {
		t.Errorf("the inner one is %s", got.text)
	}
	list := s.want(200, s.do("GET", "/api/folders", "", token))
	if rows, _ := list.at("data").([]any); len(rows) != 2 || list.at("total") != 2.0 {
		t.Errorf("the list is %s", list.text)
	}
	tree, _ := s.want(200, s.do("GET", "/api/folders/tree", "", token)).at("data").([]any)
	children, _ := tree[0].(map[string]any)["children"].([]any)
	if len(tree) != 1 || len(children) != 1 || children[0].(map[string]any)["name"] != "Stroke" {
		t.Errorf("the tree is %v", tree)
	}
	stranger := s.other()
	for _, path := range []string{"/api/folders/" + id, "/api/folders/nonsense", "/api/folders/" + uuid.NewString()} {
		s.want(404, s.do("GET", path, "", stranger))
		s.want(404, s.do("PATCH", path, `{"name":"Mine"}`, stranger))
		s.want(404, s.do("DELETE", path, "", stranger))
	}
	s.want(401, s.do("GET", "/api/folders", ""))
}

func TestAllFoldersAreListedUnlessAPageIsAskedFor(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := s.signIn(voiceassist.RoleUser)
	token := as(in.Tokens.Access)
	s.sql(`INSERT INTO folders (id, user_id, name, color, icon) SELECT gen_random_uuid(), $1, 'f' || n, '', '' FROM generate_series(1, 130) n`, in.User.ID)
	for query, want := range map[string]int{"": 130, "?limit=10": 10, "?limit=500": 100, "?page=2&pageSize=100": 30, "?offset=120": 10} {
		r := s.want(200, s.do("GET", "/api/folders"+query, "", token))
		if rows, _ := r.at("data").([]any); len(rows) != want || r.at("total") != 130.0 {
			t.Errorf("%q: %d folders of %v, want %d", query, len(rows), r.at("total"), want)
		}
	}
	if flat := s.want(200, s.do("GET", "/v1/api/folders", "", token)); strings.Count(flat.text, `"name"`) != 130 || flat.header.Get("X-Total-Count") != "130" {
		t.Errorf("the flat list is %s", flat.text)
	}
}

func TestFoldersThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := as(s.signIn(voiceassist.RoleUser).Tokens.Access)
	outer := s.folder("Outer", "", token)
	inner := s.folder("Inner", outer, token)
	for body, status := range map[string]int{
		`{"name":"OUTER"}`: 409,
		`{"name":"inner","parent_folder_id":"` + outer + `"}`: 409,
		`{"name":"Inner"}`: 201, // elsewhere
		`{}`:               422,
		`{"name":"  "}`:    422,
		`{"name":"` + strings.Repeat("x", 101) + `"}`: 422,
		`{"name":"a\nb"}`: 422,
		`{"name":"a","color":"red;background:url(x)"}`:               422,
		`{"name":"a","icon":"` + strings.Repeat("x", 51) + `"}`:      422,
		`{"name":"a","parent_folder_id":"nonsense"}`:                 404,
		`{"name":"a","parent_folder_id":"` + uuid.NewString() + `"}`: 404,
		`{"name":"a","parent_folder_id":7}`:                          422,
	} {
		if r := s.do("POST", "/api/folders", body, token); r.status != status {
			t.Errorf("%.80s: status %d, want %d: %s", body, r.status, status, r.text)
		}
	}
	for target, status := range map[string]int{inner: 409, outer: 409, uuid.NewString(): 404, "nonsense": 404} {
		if r := s.do("POST", "/api/folders/"+outer+"/move/"+target, "", token); r.status != status {
			t.Errorf("moved into %s: status %d, want %d", target, r.status, status)
		}
	}
	s.want(409, s.do("POST", "/api/folders/"+inner+"/move/root", "", token)) // there is one of its name
	s.want(200, s.do("PATCH", "/api/folders/"+inner, `{"name":"Inmost"}`, token))
	if r := s.want(200, s.do("POST", "/api/folders/"+inner+"/move/root", "", token)); r.at("parent_folder_id") != nil {
		t.Errorf("moved is %s", r.text)
	}
	stranger := s.other()
	s.want(404, s.do("POST", "/api/folders", `{"name":"a","parent_folder_id":"`+outer+`"}`, stranger))
	s.want(404, s.do("POST", "/api/folders/"+s.folder("Theirs", "", stranger)+"/move/"+outer, "", stranger))
}

func TestFoldersLieOnlySoDeep(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := as(s.signIn(voiceassist.RoleUser).Tokens.Access)
	outermost := s.folder("1", "", token)
	last := outermost
	for range voiceassist.MaxFolderDepth - 1 {
		last = s.folder("x", last, token)
	}
	s.want(409, s.do("POST", "/api/folders", `{"name":"deeper","parent_folder_id":"`+last+`"}`, token))
	above := s.folder("0", "", token)
	s.want(409, s.do("POST", "/api/folders/"+outermost+"/move/"+above, "", token))
	s.want(200, s.do("POST", "/api/folders/"+last+"/move/root", "", token))
	s.want(200, s.do("POST", "/api/folders/"+outermost+"/move/"+above, "", token))
}

func TestTwoMovesAtOnceMakeNoCircle(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := as(s.signIn(voiceassist.RoleUser).Tokens.Access)
	for range 5 {
		a, b := s.folder("a", "", token), s.folder("b", "", token)
		var wg sync.WaitGroup
		statuses := make([]int, 2)
		for i, path := range []string{a + "/move/" + b, b + "/move/" + a} {
			wg.Go(func() { statuses[i] = s.do("POST", "/api/folders/"+path, "", token).status })
		}
		wg.Wait()
		if statuses[0]+statuses[1] != 200+409 {
			t.Errorf("the moves end with %v", statuses)
		}
		s.want(200, s.do("DELETE", "/api/folders/"+a, "", token))
		s.want(200, s.do("DELETE", "/api/folders/"+b, "", token))
	}
}

func TestDeletedFolderLeavesItsContents(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := as(s.signIn(voiceassist.RoleUser).Tokens.Access)
	outer := s.folder("Outer", "", token)
	middle := s.folder("Middle", outer, token)
	same := s.folder("Middle", middle, token) // takes the place and the name of the deleted one
	c, _ := s.want(201, s.do("POST", "/api/conversations", `{"folder_id":"`+middle+`"}`, token)).at("id").(string)
	s.want(200, s.do("DELETE", "/api/folders/"+middle, "", token))
	s.want(404, s.do("GET", "/api/folders/"+middle, "", token))
	if got := s.want(200, s.do("GET", "/api/folders/"+same, "", token)); got.at("parent_folder_id") != outer || got.at("name") != "Middle" {
		t.Errorf("what was inside is %s", got.text)
	}
	if got := s.want(200, s.do("GET", "/api/conversations/"+c, "", token)); got.at("folder_id") != nil {
		t.Errorf("the conversation is %s", got.text)
	}
	// What would meet another of its name keeps the folder from going.
	clash := s.folder("Clash", outer, token)
	s.folder("Middle", clash, token)
	s.want(409, s.do("DELETE", "/api/folders/"+clash, "", token))
	if got := s.want(200, s.do("GET", "/api/folders/"+clash, "", token)); got.at("name") != "Clash" {
		t.Errorf("the folder that stays is %s", got.text)
	}
}

func TestConversationsAreFiledAndFound(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := as(s.signIn(voiceassist.RoleUser).Tokens.Access)
	folder, stranger := s.folder("F", "", token), s.other()
	filed, _ := s.want(201, s.do("POST", "/api/conversations", `{"title":"Filed","folderId":"`+folder+`"}`, token)).at("id").(string)
	loose, _ := s.want(201, s.do("POST", "/api/conversations", `{"title":"Loose","folder_id":null}`, token)).at("id").(string)
	for query, want := range map[string]float64{
		"folderId=" + folder: 1, "folder_id=none": 1, "folder_id=null": 1, "folder_id=" + uuid.NewString(): 0, "folder_id=none&search=fil": 0, "": 2,
	} {
		if list := s.want(200, s.do("GET", "/api/conversations?"+query, "", token)); list.at("total") != want {
			t.Errorf("%s: %s", query, list.text)
		}
	}
	s.want(404, s.do("GET", "/api/conversations?folder_id=nonsense", "", token))
	for _, step := range []struct {
		id, body string
		status   int
		folder   any
	}{
		{loose, `{"folderId":"` + folder + `"}`, 200, folder},
		{loose, `{"title":"Still filed"}`, 200, folder},
		{loose, `{"folder_id":"` + uuid.NewString() + `","title":"Lost"}`, 404, folder},
		{loose, `{"folder_id":7}`, 422, folder},
		{loose, `{"folder_id":null}`, 200, nil},
		{filed, `{"folderId":""}`, 200, nil},
	} {
		s.want(step.status, s.do("PATCH", "/api/conversations/"+step.id, step.body, token))
		if got := s.want(200, s.do("GET", "/api/conversations/"+step.id, "", token)); got.at("folder_id") != step.folder || got.at("title") == "Lost" {
			t.Errorf("after %s: %s", step.body, got.text)
		}
	}
	s.want(404, s.do("POST", "/api/conversations", `{"folder_id":"`+folder+`"}`, stranger))
}

func TestAllConversationsAreDeleted(t *testing.T) {
	t.Parallel()
	s := start(t)
	token, stranger := as(s.signIn(voiceassist.RoleUser).Tokens.Access), s.other()
	kept := s.conversation(stranger)
	for range 3 {
		s.say(s.conversation(token), "main", "1", token)
	}
	if r := s.want(200, s.do("DELETE", "/api/conversations/all", "", token)); r.at("deleted_count") != 3.0 || r.at("deletedCount") != 3.0 || r.at("message") == nil {
		t.Errorf("told is %s", r.text)
	}
	if r := s.want(200, s.do("DELETE", "/conversations/all", "", token)); r.at("deleted_count") != 0.0 {
		t.Errorf("again: %s", r.text)
	}
	s.want(200, s.do("GET", kept, "", stranger))
}
