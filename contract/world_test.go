package contract_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// caller is somebody who makes requests: nobody, or a user with a role, and the
// things that are theirs.
type caller struct {
	role   string // anonymous, user, viewer or admin
	email  string
	id     string
	access string
	things map[string]string
}

const userPassword = "another-long-password"

// world is a system with a caller of each role.
type world struct {
	t       *testing.T
	callers []*caller // in the order anonymous, user, viewer, admin
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	root := &caller{role: "admin", email: "admin@example.com", things: map[string]string{}}
	in := must(t, "POST", "/api/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, root.email, adminPassword), "")
	root.access, root.id = in.field("access_token"), in.field("user", "id")
	w.callers = []*caller{{role: "anonymous"}, nil, nil, root}
	w.callers[1] = w.newcomer("user")
	w.callers[2] = w.newcomer("viewer")
	return w
}

func (w *world) admin() *caller { return w.callers[3] }

// newcomer is a new user with a role, signed in.
func (w *world) newcomer(role string) *caller {
	w.t.Helper()
	c := &caller{role: role, email: nonce() + "@example.org", things: map[string]string{}}
	in := must(w.t, "POST", "/api/auth/register",
		fmt.Sprintf(`{"email":%q,"password":%q,"full_name":"Ada Newcomer"}`, c.email, userPassword), "")
	c.access, c.id = in.field("access_token"), in.field("user", "id")
	if role != "user" {
		must(w.t, "PUT", "/api/admin/panel/users/"+c.id, fmt.Sprintf(`{"admin_role":%q}`, role), w.admin().access)
		in = must(w.t, "POST", "/api/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, c.email, userPassword), "")
		c.access = in.field("access_token")
	}
	return c
}

// fill replaces every {name} in s by the thing of that name that c has. Things
// whose names begin with + are made anew each time. Nobody uses the admin's.
func (w *world) fill(c *caller, s string) string {
	w.t.Helper()
	if c.things == nil {
		c = w.admin()
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "{{")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, after, _ := strings.Cut(rest, "}}")
		out.WriteString(w.thing(c, name))
		s = after
	}
}

func (w *world) thing(c *caller, name string) string {
	w.t.Helper()
	kind, isNew := strings.CutPrefix(name, "+")
	if made, ok := c.things[kind]; ok && !isNew {
		return made
	}
	id := w.make(c, kind)
	if id == "" {
		w.t.Fatalf("%s could not make a %s", c.role, kind)
	}
	if !isNew {
		c.things[kind] = id
	}
	return id
}

// make makes a thing and returns its id.
func (w *world) make(c *caller, kind string) string {
	w.t.Helper()
	t, root := w.t, w.admin().access
	switch kind {
	case "me":
		return c.id
	case "email":
		return nonce() + "@example.org"
	case "nonce":
		return nonce()
	case "password":
		if c == w.admin() {
			return adminPassword
		}
		return userPassword
	case "access":
		return c.access
	case "refresh":
		body := fmt.Sprintf(`{"email":%q,"password":%q}`, c.email, w.make(c, "password"))
		return must(t, "POST", "/api/auth/login", body, "").field("refresh_token")
	case "user":
		return w.newcomer("user").id
	case "inactive user":
		id := w.newcomer("user").id
		must(t, "PUT", "/api/users/"+id+"/deactivate", "", root)
		return id
	case "other admin":
		return w.newcomer("admin").id
	case "apikey":
		return must(t, "POST", "/api/auth/api-keys", `{"name":"a key","scopes":["read"]}`, c.access).field("id")

	case "conversation":
		return must(t, "POST", "/api/conversations", `{"title":"About asthma"}`, c.access).field("id")
	case "message":
		return must(t, "POST", "/api/conversations/"+w.thing(c, "conversation")+"/messages",
			`{"role":"user","content":"What helps against an asthma attack?"}`, c.access).field("id")
	case "answer":
		path := "/api/conversations/" + w.thing(c, "conversation") + "/messages/" + w.thing(c, "message") + "/regenerate"
		return must(t, "POST", path, `{"create_branch":false}`, c.access).field("message", "id")
	case "citation":
		w.thing(c, "answer")
		list := must(t, "GET", "/api/conversations/"+w.thing(c, "conversation")+"/messages", "", c.access)
		return firstCitation(list.data())
	case "branch":
		return must(t, "POST", "/api/conversations/"+w.thing(c, "conversation")+"/branches",
			`{"parent_message_id":"`+w.thing(c, "message")+`"}`, c.access).field("branch_id")
	case "folder":
		return must(t, "POST", "/api/folders", `{"name":"`+nonce()+`"}`, c.access).field("id")
	case "share":
		return must(t, "POST", "/api/sessions/"+w.thing(c, "conversation")+"/share",
			`{"expiresInHours":1,"allowAnonymous":true}`, c.access).field("shareId")
	case "locked share":
		return must(t, "POST", "/api/sessions/"+w.thing(c, "conversation")+"/share",
			`{"expiresInHours":1,"allowAnonymous":true,"password":"open sesame"}`, c.access).field("shareId")
	case "file":
		return must(t, "POST", "/api/files/upload", "form:file=@note.txt:Peak flow "+nonce(), c.access).field("id")
	case "attachment":
		return must(t, "POST", "/api/messages/"+w.thing(c, "message")+"/attachments", "form:file=@note.txt:Peak flow "+nonce(), c.access).field("id")
	case "context":
		return must(t, "POST", "/api/clinical-contexts", `{"age":40,"chief_complaint":"wheeze"}`, c.access).field("id")
	case "session context":
		return must(t, "POST", "/api/clinical-contexts", `{"age":40,"session_id":"`+w.thing(c, "conversation")+`"}`, c.access).field("id")
	case "preset":
		return must(t, "POST", "/api/clinical-presets", `{"name":"`+nonce()+`","context":{"age":70}}`, c.access).field("id")

	case "document":
		id := must(t, "POST", "/api/admin/kb/documents", "form:file=@leaflet.txt:A leaflet about "+nonce()+" and its remedy.&title=Leaflet", root).field("id")
		w.await("/api/admin/kb/documents/"+id, "status", "indexed")
		return id
	case "deleted document", "purged document":
		id := w.make(c, "document")
		query := ""
		if kind == "purged document" {
			query = "?purge=true"
		}
		must(t, "DELETE", "/api/admin/kb/documents/"+id+query, "", root)
		return id
	case "job":
		jobs := must(t, "GET", "/api/admin/kb/jobs?document_id="+w.thing(c, "document"), "", root).data().([]any)
		return jobs[0].(map[string]any)["id"].(string)
	case "failed job":
		up := must(t, "POST", "/api/admin/kb/documents", "form:file=@broken.pdf:%PDF-1.4 "+nonce(), root)
		w.await("/api/admin/kb/documents/"+up.field("id"), "status", "failed")
		return up.field("job_id")
	case "batch":
		return must(t, "POST", "/api/admin/kb/batches", `{"name":"A load"}`, root).field("id")
	case "manifest batch":
		return must(t, "POST", "/api/admin/kb/batches", `{"name":"A load","files":[`+manifestEntry+`],"more":true}`, root).field("id")
	case "paused batch":
		id := w.make(c, "batch")
		must(t, "POST", "/api/admin/kb/batches/"+id+"/pause", "", root)
		return id
	case "failed batch":
		id := w.make(c, "batch")
		up := must(t, "POST", "/api/admin/kb/batches/"+id+"/files", "form:file=@broken.pdf:%PDF-1.4 "+nonce(), root)
		w.await("/api/admin/kb/documents/"+up.field("id"), "status", "failed")
		return id
	case "closed batch":
		id := w.make(c, "batch")
		must(t, "POST", "/api/admin/kb/batches/"+id+"/close", "", root)
		return id
	case "report":
		return must(t, "POST", "/api/citations/"+w.thing(w.admin(), "citation")+"/report", `{"reason":"wrong_quote"}`, root).field("id")
	case "flag":
		name := nonce()
		must(t, "POST", "/api/admin/feature-flags", `{"name":"`+name+`","enabled":false,"description":"a flag","rollout_percentage":10}`, root)
		return name
	}
	t.Fatalf("nobody knows how to make a %s", kind)
	return ""
}

// await waits until a member of a resource has a value.
func (w *world) await(path, member, want string) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		r := must(w.t, "GET", path, "", w.admin().access)
		if r.field(member) == want {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: %s did not become %s: %s", path, member, want, r.text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// firstCitation returns the id of the first citation in a page of messages.
func firstCitation(page any) string {
	b, err := json.Marshal(page)
	if err != nil {
		return ""
	}
	var list struct {
		Items []struct{ Citations []struct{ ID string } }
	}
	if json.Unmarshal(b, &list) != nil {
		return ""
	}
	for _, m := range list.Items {
		if len(m.Citations) > 0 {
			return m.Citations[0].ID
		}
	}
	return ""
}
