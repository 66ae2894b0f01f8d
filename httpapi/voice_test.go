package httpapi_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

const wav = "RIFF\x24\x00\x00\x00WAVEfmt and some sound"

func TestSpeechThatIsNotConfiguredSaysWhatToSet(t *testing.T) {
	t.Parallel()
	s := start(t)
	user, other := s.signIn(voiceassist.RoleUser), s.signIn(voiceassist.RoleViewer)
	mine := s.want(201, s.do("POST", "/api/conversations", "", as(user.Access))).at("id").(string)
	sound := base64.StdEncoding.EncodeToString([]byte(wav))
	attempts := 0
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "session", ``, 503},
		{"POST", "session", `{"language":"en-GB","mode":"dictation","autoSend":true}`, 503},
		{"POST", "session", `{"conversation_id":"` + mine + `"}`, 503},
		{"POST", "session", `{"conversation_id":"` + uuid.NewString() + `"}`, 404},
		{"POST", "session", `{"conversation_id":"nonsense"}`, 404},
		{"POST", "session", `{"language":"the Queen's"}`, 422},
		{"POST", "session", `{"auto_send":"yes"}`, 422},
		{"POST", "transcribe", `{"audio":"` + sound + `"}`, 503},
		{"POST", "transcribe", `{"audio":"data:audio/wav;base64,` + sound + `","language":"de"}`, 503},
		{"POST", "transcribe", `{"audio":"` + base64.StdEncoding.EncodeToString([]byte("%PDF-1.7 is no sound")) + `"}`, 415},
		{"POST", "transcribe", `{"audio":"%%%"}`, 422},
		{"POST", "transcribe", `{"audio":""}`, 422},
		{"POST", "transcribe", `{}`, 422},
		{"POST", "transcribe", `{"audio":"` + strings.Repeat("A", 8<<20) + `"}`, 413},
		{"POST", "synthesize", `{"text":"Good morning","voice":"any","format":"mp3"}`, 503},
		{"POST", "synthesize", `{"text":"  "}`, 422},
		{"POST", "synthesize", `{"text":"a","speed":9}`, 422},
		{"POST", "relay", `{"transcript":"What is aspirin?","conversation_id":"` + mine + `"}`, 503},
		{"POST", "relay", `{"transcript":" "}`, 422},
		{"GET", "voices", "", 503},
		{"GET", "audio/" + uuid.NewString(), "", 404},
		{"GET", "audio/nonsense", "", 404},
	} {
		r := s.want(c.want, s.do(c.method, "/api/voice/"+c.path, c.body, as(user.Access)))
		if c.want == 503 {
			if message, _ := r.at("error", "message").(string); !strings.Contains(message, "_MODEL") || r.at("error", "code") != "SERVICE_UNAVAILABLE" {
				t.Errorf("%s: %s", c.path, r.text)
			}
			if c.method == "POST" {
				attempts++
			}
		}
	}
	s.want(404, s.do("POST", "/api/voice/session", `{"conversation_id":"`+mine+`"}`, as(other.Access)))
	s.want(401, s.do("POST", "/api/voice/session", ``))
	if n := s.count(`SELECT count(*) FROM audit_entries WHERE action = 'voice.refused' AND NOT success AND user_id = $1`, user.User.ID); n != attempts {
		t.Errorf("%d rows in the audit log, want %d", n, attempts)
	}
}

func TestVoiceObeysItsFlag(t *testing.T) {
	t.Parallel()
	s := start(t, withFlags(t))
	admin, user := s.signIn(voiceassist.RoleAdmin).Access, s.signIn(voiceassist.RoleUser).Access
	requests := []struct{ method, path, body string }{
		{"POST", "session", ""},
		{"POST", "transcribe", `{"audio":"x"}`},
		{"POST", "synthesize", `{"text":"Good morning"}`},
		{"POST", "relay", `{"transcript":"What is gout?"}`},
		{"GET", "voices", ""},
		{"GET", "audio/" + uuid.NewString(), ""},
		{"POST", "audio", ""},
	}
	all := func(off bool) {
		t.Helper()
		for _, c := range requests {
			if r := s.do(c.method, "/api/voice/"+c.path, c.body, as(user)); (r.status == 403) != off {
				t.Errorf("%s: status %d, off is %t: %s", c.path, r.status, off, r.text)
			} else if off && (r.at("error", "code") != "FORBIDDEN" || !strings.Contains(r.text, "voice_mode")) {
				t.Errorf("%s: %s", c.path, r.text)
			}
		}
	}
	all(false)
	s.want(200, s.do("PATCH", flagsPath+"/voice_mode", `{"enabled":false}`, as(admin)))
	all(true)
	s.want(401, s.do("POST", "/api/voice/session", ""))
	s.want(200, s.do("PATCH", flagsPath+"/voice_mode", `{"enabled":true,"rollout_percentage":0}`, as(admin)))
	all(true)
	s.want(200, s.do("PATCH", flagsPath+"/voice_mode", `{"rollout_percentage":100}`, as(admin)))
	all(false)
}

func TestRecordingsAreJudgedBeforeTheyAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	user := s.signIn(voiceassist.RoleUser).Access
	const path = "/api/voice/audio"
	for name, c := range map[string]struct {
		parts []part
		want  int
	}{
		"wav":               {[]part{{"file", "a.wav", wav}}, 503},
		"called audio":      {[]part{{"audio", "a.ogg", "OggS and some sound"}, {"language", "", "en"}, {"session_id", "", "x"}}, 503},
		"webm":              {[]part{{"file", "a", "\x1a\x45\xdf\xa3 and some sound"}}, 503},
		"mp4":               {[]part{{"file", "a.m4a", "\x00\x00\x00\x20ftypM4A "}}, 503},
		"mp3 without a tag": {[]part{{"file", "a.mp3", "\xff\xfb\x90\x64 and some sound"}}, 503},
		"a text":            {[]part{{"file", "a.wav", "not a sound, whatever its name"}}, 415},
		"a picture":         {[]part{{"file", "a.wav", "\xff\xd8\xff\xe0\x00\x10JFIF"}}, 415},
		"nothing":           {[]part{{"file", "a.wav", ""}}, 422},
		"no file":           {[]part{{"language", "", "en"}}, 422},
		"two files":         {[]part{{"file", "a.wav", wav}, {"file", "b.wav", wav}}, 422},
		"a bad language":    {[]part{{"language", "", "?"}, {"file", "a.wav", wav}}, 422},
		"too long":          {[]part{{"file", "a.wav", wav + strings.Repeat("\x00", 25<<20)}}, 413},
	} {
		if r := s.upload(user, path, c.parts...); r.status != c.want {
			t.Errorf("%s: status %d, want %d: %s", name, r.status, c.want, r.text)
		}
	}
	s.want(422, s.do("POST", path, `{}`, as(user)))
	s.want(422, s.upload(user, path+"?wait=61", part{"file", "a.wav", wav}))
	s.want(503, s.upload(user, path+"?wait=60", part{"file", "a.wav", wav}))
	if s.library.uncommitted() != 0 || len(s.library.files) != 0 {
		t.Error("a recording was kept")
	}
}
