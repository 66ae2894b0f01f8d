package redis

import (
	"bytes"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/hibiken/asynqmon"
)

// Monitor returns asynqmon, to be mounted under path. Its pages load nothing
// from an outside host: their fonts, which come from one, are left to the
// browser's own.
func (q *Queue) Monitor(path string) http.Handler {
	monitor := asynqmon.New(asynqmon.Options{RootPath: path, RedisConnOpt: q})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := &pageWriter{ResponseWriter: w}
		monitor.ServeHTTP(page, r)
		page.finish()
	})
}

// outsideLink is a link to something on another host.
var outsideLink = regexp.MustCompile(`<link[^>]*href="(?:https?:)?//[^>]*>`)

// pageWriter holds an HTML page back, to send it without its outside links.
// Anything else passes through.
type pageWriter struct {
	http.ResponseWriter
	status int
	page   bytes.Buffer // asynqmon's page is 3 KB
}

func (w *pageWriter) isPage() bool {
	return strings.HasPrefix(w.Header().Get("Content-Type"), "text/html")
}

func (w *pageWriter) WriteHeader(status int) {
	w.status = status
	if !w.isPage() {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *pageWriter) Write(b []byte) (int, error) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", http.DetectContentType(b))
	}
	if w.isPage() {
		return w.page.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

func (w *pageWriter) finish() {
	if w.page.Len() == 0 {
		return
	}
	page := outsideLink.ReplaceAll(w.page.Bytes(), nil)
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	if w.status != 0 {
		w.ResponseWriter.WriteHeader(w.status)
	}
	_, _ = w.ResponseWriter.Write(page)
}
