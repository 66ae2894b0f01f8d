package cmd

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser opens a tab of a real browser and returns what it loads from
// anywhere but base, and what its scripts complain of.
func browser(t *testing.T, base string) (tab context.Context, complaints func() []string) {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium on this machine: install the package chromium to run the tests of pages")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1280, 900))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	tab, cancelTab := chromedp.NewContext(ctx)
	t.Cleanup(cancelTab)
	tab, cancelTime := context.WithTimeout(tab, 2*time.Minute)
	t.Cleanup(cancelTime)

	var mu sync.Mutex
	var all []string
	complain := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, s)
	}
	chromedp.ListenTarget(tab, func(event any) {
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if u := strings.TrimPrefix(e.Request.URL, "blob:"); !strings.HasPrefix(u, base) && !strings.HasPrefix(u, "data:") {
				complain("it asks for " + u)
			}
		case *log.EventEntryAdded: // by tabs that have the log enabled
			if e.Entry.Source == log.SourceSecurity {
				complain("it is refused something: " + e.Entry.Text)
			}
		case *cdpruntime.EventExceptionThrown:
			complain("a script fails: " + e.ExceptionDetails.Error())
		}
	})
	return tab, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// signInBrowser gives the browser the cookie that signing in sets.
func signInBrowser(t *testing.T, base string) chromedp.Action {
	t.Helper()
	body := strings.NewReader(`{"email":"admin@example.com","password":"` + testPassword + `"}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/auth/login", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	cookies := reply.Cookies()
	if len(cookies) == 0 {
		t.Fatal("signing in sets no cookie")
	}
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return chromedp.ActionFunc(func(ctx context.Context) error {
		return network.SetCookie(cookies[0].Name, cookies[0].Value).WithDomain(u.Hostname()).WithPath("/").WithHTTPOnly(true).Do(ctx)
	})
}

// TestAsynqmonWorksInABrowser opens the queues and one of them, as an
// administrator does.
// .
func TestAsynqmonWorksInABrowser(t *testing.T) {
	t.Parallel()
	inProcess(t, upConfig(t, dataDir(t)), func(ctx context.Context, s *system, c *client) {
		tab, complaints := browser(t, s.url)
		if _, err := c.upload(ctx, "a.txt", leaflet(1), nil); err != nil {
			t.Error(err)
		}
		if err := c.awaitIdle(ctx, func(int) {}); err != nil {
			t.Error(err)
		}
		var title, text string
		if err := chromedp.Run(tab,
			network.Enable(),
			signInBrowser(t, s.url),
			chromedp.Navigate(s.url+"/api/admin/jobs/"),
			chromedp.WaitVisible(`//a[normalize-space()="default"]`),
			chromedp.Title(&title),
			chromedp.Text("body", &text),
			chromedp.Click(`//a[normalize-space()="default"]`),
			chromedp.WaitVisible(`//*[contains(text(), "Archived")]`),
		); err != nil {
			t.Errorf("asynqmon in a browser: %v; the page says %q", err, text)
		}
		if !strings.Contains(strings.ToLower(title), "asynq") {
			t.Errorf("the page's title is %q", title)
		}
		for _, each := range complaints() {
			t.Errorf("the page: %s", each)
		}
	})
}

// TestTheDocumentationWorksInABrowser opens Swagger UI and ReDoc and looks for
// operations on them.
func TestTheDocumentationWorksInABrowser(t *testing.T) {
	t.Parallel()
	inProcess(t, upConfig(t, dataDir(t)), func(ctx context.Context, s *system, _ *client) {
		tab, complaints := browser(t, s.url)
		for path, operation := range map[string]string{
			"/docs":  `//span[@data-path="/api/kb/search"]`,
			"/redoc": `//h2[contains(., "Search passages")]`,
		} {
			var text string
			if err := chromedp.Run(tab, network.Enable(), log.Enable(),
				chromedp.Navigate(s.url+path),
				chromedp.WaitReady(operation),
				chromedp.Text("body", &text),
			); err != nil {
				t.Errorf("%s in a browser: %v; the page says %.300q", path, err, text)
			}
			if !strings.Contains(text, "proved citations") {
				t.Errorf("%s does not introduce the API: %.300q", path, text)
			}
		}
		for _, each := range complaints() {
			t.Errorf("a page: %s", each)
		}
	})
}
