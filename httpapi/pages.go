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
	"sync"

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
	plain     func() ([]byte, error)
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

// assetOf reads a file that may be there compressed, as name.gz. Then it is
// decompressed for the first client that wants it so: few do.
func assetOf(files fs.FS, name string) (asset, error) {
	a := asset{mediaType: mediaTypes[path.Ext(name)]}
	if plain, err := fs.ReadFile(files, name); err == nil {
		a.plain = func() ([]byte, error) { return plain, nil }
		return a, nil
	}
	var err error
	if a.gzipped, err = fs.ReadFile(files, name+".gz"); err != nil {
		return asset{}, err
	}
	a.plain = sync.OnceValues(func() ([]byte, error) { return decompress(a.gzipped) })
	return a, nil
}

func decompress(gzipped []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(gzipped))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
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
		if a.gzipped != nil {
			c.Vary("Accept-Encoding")
			if strings.Contains(c.Get("Accept-Encoding"), "gzip") {
				c.Set("Content-Encoding", "gzip")
				return c.Send(a.gzipped)
			}
		}
		plain, err := a.plain()
		if err != nil {
			return fmt.Errorf("decompress %s: %w", name, err)
		}
		return c.Send(plain)
	}
}
