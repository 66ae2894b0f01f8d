package httpapi_test

import (
	"bufio"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
)

// TestALargeBatchIsListedAndExportedWithoutBeingHeld lists 20,000 files and
// reads their fates, 4 MB: half-way through the CSV the process holds little of it.
func TestALargeBatchIsListedAndExportedWithoutBeingHeld(t *testing.T) {
	s := start(t)
	admin := s.signIn(voiceassist.RoleAdmin)
	const files, chunk = 20_000, 10_000
	directory := strings.Repeat("papers/", 10)
	begun, id := time.Now(), ""
	for from := 0; from < files; from += chunk {
		var body strings.Builder
		fmt.Fprintf(&body, `{"name":"papers","more":%t,"files":[`, from+chunk < files)
		for i := range chunk {
			fmt.Fprintf(&body, `{"name":"=%s%06d.pdf","size":%d,"sha256":"%064x"},`, directory, from+i, i, from+i)
		}
		path := "/api/admin/kb/batches"
		if id != "" {
			path += "/" + id + "/manifest"
		}
		r := s.do("POST", path, strings.TrimSuffix(body.String(), ",")+"]}", as(admin.Access))
		if r.at("upload") != float64(chunk) {
			t.Fatalf("%d, %v to upload: %.300s", r.status, r.at("upload"), r.text)
		}
		id = r.at("id").(string)
	}
	t.Logf("opened a manifest of %d files in %v", files, time.Since(begun))

	before := heap()
	begun = time.Now()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/admin/kb/batches/"+id+"/files.csv", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	as(admin.Access)(req)
	reply, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	lines := bufio.NewScanner(reply.Body)
	n, held := 0, uint64(0)
	for lines.Scan() {
		if n++; n == files/2 {
			held = max(heap(), before) - before
		}
		if n > 1 && !strings.HasPrefix(lines.Text(), "'=papers/") {
			t.Fatalf("line %d is %q", n, lines.Text())
		}
	}
	t.Logf("exported it in %v, holding %d KB half-way", time.Since(begun), held>>10)
	if n != files+1 || held > 2<<20 {
		t.Errorf("%d lines, %d KB held; want %d and at most 2 MB", n, held>>10, files+1)
	}
}

// heap is how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestWebhooksAndMailsAreRefusedWhereNoneCanBeSent(t *testing.T) {
	t.Parallel()
	ready := func() error { return voiceassist.Errorf(voiceassist.Unavailable, "no mail") }
	plain := start(t, func(o *httpapi.Options) { o.MailReady = ready })
	signed := start(t, func(o *httpapi.Options) {
		o.CheckWebhook = func(url string) error {
			if strings.HasPrefix(url, "https://example.org/") {
				return nil
			}
			return voiceassist.FieldError("webhook_url", "no")
		}
	})
	for _, c := range []struct {
		s      *suite
		body   string
		status int
	}{
		{plain, `{"name":"x","webhook_url":"https://example.org/hook"}`, 422},
		{plain, `{"name":"x","notify":true}`, 422},
		{signed, `{"name":"x","notify":true,"webhook_url":"https://example.org/hook?key=secret"}`, 201},
		{signed, `{"name":"x","webhook_url":"https://ada:secret@example.org/hook"}`, 422},
		{signed, `{"name":"x","webhook_url":"https://example.org/` + strings.Repeat("a", voiceassist.MaxWebhookURL) + `"}`, 422},
	} {
		admin, err := c.s.accounts.Login(t.Context(), "admin@example.org", password)
		if err != nil {
			admin = c.s.signIn(voiceassist.RoleAdmin)
		}
		r := c.s.want(c.status, c.s.do("POST", "/api/admin/kb/batches", c.body, as(admin.Access)))
		if strings.Contains(r.text, "secret") {
			t.Errorf("the reply repeats a secret: %s", r.text)
		}
	}
}
