package httpapi

import (
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Paging selects a part of a list. Clients say it in three ways: offset and
// limit, skip and limit, or page (from 1) and pageSize.
type Paging struct {
	Offset        int `query:"offset" minimum:"0" maximum:"1000000000"`
	Skip          int `query:"skip" minimum:"0" maximum:"1000000000"`
	Limit         int `query:"limit" minimum:"1" doc:"20 by default (100 under /v1), at most 100"`
	Page          int `query:"page" minimum:"1" maximum:"10000000"`
	PageSize      int `query:"pageSize" minimum:"1"`
	PageSizeSnake int `query:"page_size" minimum:"1"`
}

// The lengths of lists. The v1 guide's clients do not page, so they get all
// they may.
const (
	defaultLimit = 20
	maxLimit     = 100
)

// window returns which rows were asked for.
func (p Paging) window(flat bool) (offset, limit int) {
	limit = max(p.Limit, p.PageSize, p.PageSizeSnake)
	if limit == 0 && flat {
		limit = maxLimit
	}
	if limit == 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	if p.Page > 0 {
		return (p.Page - 1) * limit, limit
	}
	return max(p.Offset, p.Skip), limit
}

// parseID reads an id out of a path. A malformed one is the id of nothing.
func parseID(id, what string) (uuid.UUID, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return uuid.Nil, voiceassist.Errorf(voiceassist.NotFound, "%s not found", what)
	}
	return parsed, nil
}

// parseOptionalID is parseID for an id that may be missing or "", which is nil.
func parseOptionalID(id *string, what string) (*uuid.UUID, error) {
	if or(id, "") == "" {
		return nil, nil //nolint:nilnil // documented: there is none
	}
	parsed, err := parseID(*id, what)
	return &parsed, err
}
