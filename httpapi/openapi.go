package httpapi

import (
	"encoding/json"
	"sync"

	"github.com/gofiber/fiber/v2"
)

// openAPI serves the description of the API. It is made when first asked for,
// after every route has been registered.
func (s *Server) openAPI() fiber.Handler {
	document := sync.OnceValues(func() ([]byte, error) { return json.Marshal(s.api.OpenAPI()) })
	return func(c *fiber.Ctx) error {
		body, err := document()
		if err != nil {
			return err
		}
		c.Set("Content-Type", "application/json; charset=utf-8")
		return c.Send(body)
	}
}
