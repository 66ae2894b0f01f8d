package httpapi

import (
	"context"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// APIKeyBody is an API key after it was made. It is exported as UserBody is.
type APIKeyBody struct {
	ID         string              `json:"id"`
	Name       string              `json:"name" example:"reporting"`
	Prefix     string              `json:"prefix"`
	Scopes     []voiceassist.Scope `json:"scopes" enum:"read,write,admin"`
	CreatedAt  string              `json:"created_at" format:"date-time"`
	ExpiresAt  *string             `json:"expires_at" format:"date-time"`
	LastUsedAt *string             `json:"last_used_at" format:"date-time"`
}

func apiKeyOf(k voiceassist.APIKey) APIKeyBody {
	return APIKeyBody{
		ID: k.ID.String(), Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes,
		CreatedAt: stamp(k.CreatedAt), ExpiresAt: stampOrNil(k.ExpiresAt), LastUsedAt: stampOrNil(k.LastUsedAt),
	}
}

// apiKeysBody is a page of keys.
type apiKeysBody struct {
	Items  []twins[APIKeyBody] `json:"items"`
	Keys   []twins[APIKeyBody] `json:"api_keys"`
	Total  int                 `json:"total"`
	Offset int                 `json:"offset"`
	Limit  int                 `json:"limit"`
}

func (b apiKeysBody) named() string { return "api_keys" }

type apiKeysInput struct{ Paging }

func (s *Server) listAPIKeys(ctx context.Context, in *apiKeysInput) (apiKeysBody, error) {
	offset, limit := in.window(requestOf(ctx).flat)
	list, total, err := s.o.Accounts.APIKeys(ctx, principal(ctx).User.ID, offset, limit)
	if err != nil {
		return apiKeysBody{}, err
	}
	rows := make([]twins[APIKeyBody], len(list))
	for i, k := range list {
		rows[i] = both(apiKeyOf(k))
	}
	return apiKeysBody{Items: rows, Keys: rows, Total: total, Offset: offset, Limit: limit}, nil
}

// createdKeyBody is an API key with the key itself, which is shown only now.
type createdKeyBody struct {
	APIKeyBody
	Key string `json:"key" doc:"shown only now; goes into the header X-API-Key"`
}

type createKeyInput struct {
	Body struct {
		Name          string              `json:"name" example:"reporting"`
		Scopes        []voiceassist.Scope `json:"scopes,omitempty" maxItems:"3" enum:"read,write,admin" doc:"read by default"`
		ExpiresAt     *time.Time          `json:"expires_at,omitempty"`
		ExpiresInDays int                 `json:"expires_in_days,omitempty" minimum:"1" maximum:"3650" doc:"instead of expires_at"`
	}
}

func (s *Server) createAPIKey(ctx context.Context, in *createKeyInput) (twins[createdKeyBody], error) {
	expires := in.Body.ExpiresAt
	if expires == nil && in.Body.ExpiresInDays > 0 {
		expires = new(time.Now().AddDate(0, 0, in.Body.ExpiresInDays))
	}
	key, k, err := s.o.Accounts.CreateAPIKey(ctx, principal(ctx).User.ID, in.Body.Name, in.Body.Scopes, expires)
	if err != nil {
		return twins[createdKeyBody]{}, err
	}
	return both(createdKeyBody{apiKeyOf(k), key}), nil
}

type apiKeyInput struct {
	ID string `path:"id"`
}

func (s *Server) deleteAPIKey(ctx context.Context, in *apiKeyInput) (messageBody, error) {
	id, err := parseID(in.ID, "API key")
	if err != nil {
		return messageBody{}, err
	}
	return messageBody{Message: "The API key no longer works"}, s.o.Accounts.DeleteAPIKey(ctx, principal(ctx).User.ID, id)
}
