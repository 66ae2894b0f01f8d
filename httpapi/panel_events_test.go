package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	voiceassist "github.com/voiceassist/backend"
)

func TestPanelsHearWhatAdministratorsDo(t *testing.T) {
	t.Parallel()
	withCached, _, _ := withCache(t)
	s := start(t, withFlags(t), withCached)
	admin, ada := s.signIn(voiceassist.RoleAdmin), s.person("ada")
	panel := s.dial("/api/admin/panel/ws?token="+admin.Access, nil)
	panel.want("connected")
	panel.send(`{"type":"subscribe","channels":["events"]}`)
	panel.waitFor("subscribed")
	user, one := "/api/users/"+ada.User.ID.String(), ada.User.ID.String()
	heard := func(kind, id string) {
		t.Helper()
		e := panel.waitFor("admin_event")
		resource, _, _ := strings.Cut(kind, ".")
		if e.text("event") != kind || id != "" && e.text("resource_id") != id || e.text("resource_type") != resource {
			t.Errorf("heard is %v, want %s of %s", e, kind, id)
		}
		for _, personal := range []string{ada.User.Email, admin.User.Email, "new@example.org", "Ada"} {
			if strings.Contains(fmt.Sprint(e), personal) {
				t.Errorf("%s is in %v", personal, e)
			}
		}
	}
	for _, c := range []struct{ method, path, body, event, id string }{
		{"PUT", user + "/promote-admin", "", "user.role_changed", one},
		{"PUT", user + "/revoke-admin", "", "user.role_changed", one},
		{"PUT", user + "/deactivate", "", "user.deactivated", one},
		{"PATCH", user, `{"isActive":true}`, "user.activated", one},
		{"PUT", "/api/admin/panel/users/" + one, `{"full_name":"Ada","role":"user","is_active":true}`, "user.updated", one},
		{"POST", "/api/admin/panel/users/bulk", `{"action":"delete","user_ids":["` + one + `"]}`, "user.deleted", one},
		{"DELETE", "/api/admin/panel/users/" + one + "/permanent", "", "user.erased", one},
		{"POST", "/api/admin/cache/clear", "", "cache.cleared", "*"},
		{"PUT", "/api/admin/system/retention", `{"files_days":30}`, "settings.retention_changed", "retention"},
		{"GET", "/api/admin/panel/audit-logs/export?format=json", "", "audit.exported", ""},
		{"POST", flagsPath + "/voice_mode/toggle", "", "flag.toggled", "voice_mode"},
	} {
		s.want(200, s.do(c.method, c.path, c.body, as(admin.Access)))
		heard(c.event, c.id)
	}
	r := s.want(202, s.upload(admin.Access, "/api/admin/kb/documents", part{"file", "a.txt", "Gout."}))
	heard("document.uploaded", r.at("id").(string))
	s.want(200, s.do("DELETE", "/api/admin/kb/documents/"+r.at("id").(string), "", as(admin.Access)))
	heard("document.deleted", r.at("id").(string))
	// What was refused is not told: the next event is that of the next change.
	s.want(404, s.do("DELETE", "/api/admin/kb/documents/"+r.at("id").(string), "", as(admin.Access)))
	s.want(400, s.do("PUT", "/api/users/"+admin.User.ID.String()+"/deactivate", "", as(admin.Access)))
	s.want(200, s.do("POST", flagsPath+"/voice_mode/toggle", "", as(admin.Access)))
	heard("flag.toggled", "voice_mode")
}
