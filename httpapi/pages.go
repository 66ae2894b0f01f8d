package httpapi

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/swaggest/swgui/v5/static"
)

// The pages that show the description of the API, and what they load. All of it
// is in the program; nothing comes from an outside host.
//
//go:embed static/docs.html static/docs.js static/redoc.html static/redoc.standalone.js.gz static/asyncapi.json
var pages embed.FS

// docsCSP lets Swagger UI and ReDoc work, whose styles are written by scripts,
// and ReDoc's search run in a worker. Scripts are ours alone.
const docsCSP = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// asset is a file as it is sent.
type asset struct {
	mediaType string
	plain     []byte
	gzipped   []byte // nil: it is sent as it is
}

// mediaTypes are those of our files, whatever the machine thinks of them.
var mediaTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json; charset=utf-8",
	".png":  "image/png",
}

// assetOf reads a file that may be there compressed, as name.gz.
func assetOf(files fs.FS, name string) (asset, error) {
	a := asset{mediaType: mediaTypes[path.Ext(name)]}
	var err error
	if a.plain, err = fs.ReadFile(files, name); err == nil {
		return a, nil
	}
	if a.gzipped, err = fs.ReadFile(files, name+".gz"); err != nil {
		return asset{}, err
	}
	r, err := gzip.NewReader(bytes.NewReader(a.gzipped))
	if err != nil {
		return asset{}, fmt.Errorf("%s: %w", name, err)
	}
	a.plain, err = io.ReadAll(r)
	return a, err
}

// page serves one of our files. Files are part of the program: one that is
// missing is a mistake in it.
func page(name string) fiber.Handler { return file(pages, "static/"+name) }

// swaggerUI serves one of Swagger UI's files.
func swaggerUI(name string) fiber.Handler { return file(static.FS, name) }

func file(files fs.FS, name string) fiber.Handler {
	a, err := assetOf(files, name)
	if err != nil {
		panic("httpapi: " + err.Error())
	}
	return func(c *fiber.Ctx) error {
		c.Set("Content-Type", a.mediaType)
		c.Set("Content-Security-Policy", docsCSP)
		c.Set("Cache-Control", "public, max-age=3600")
		if a.gzipped == nil {
			return c.Send(a.plain)
		}
		c.Vary("Accept-Encoding")
		if !strings.Contains(c.Get("Accept-Encoding"), "gzip") {
			return c.Send(a.plain)
		}
		c.Set("Content-Encoding", "gzip")
		return c.Send(a.gzipped)
	}
}
