package httpapi_test

import "testing"

func TestTheOpenAPIDocumentKnowsBothCasingsAndTokens(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := s.want(200, s.do("GET", "/api/openapi.json", ""))
	if r.at("openapi") != "3.1.0" {
		t.Errorf("openapi = %v", r.at("openapi"))
	}
	for schema, properties := range map[string][]string{
		"UserBody":       {"full_name", "fullName", "last_login"},
		"SignedInBody":   {"access_token", "refresh_token", "expires_in", "user"},
		"RegisteredBody": {"id", "email", "access_token", "user"},
		"DocumentBody":   {"document_id", "documentId", "lastIndexedAt"},
	} {
		for _, name := range properties {
			if r.at("components", "schemas", schema, "properties", name) == nil {
				t.Errorf("%s lacks %s", schema, name)
			}
		}
	}
	for _, path := range []string{"/api/auth/login", "/api/kb/search", "/api/admin/kb/jobs/{id}"} {
		if r.at("paths", path) == nil {
			t.Errorf("%s is not described", path)
		}
	}
}
