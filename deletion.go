package voiceassist

import (
	"time"

	"github.com/google/uuid"
)

// UndeleteWindow is how long a deleted document can be brought back by default.
const UndeleteWindow = 72 * time.Hour

// DeletedDocument is a document that was deleted and can be brought back until
// PurgeAt.
type DeletedDocument struct {
	Document
	PurgeAt time.Time
}

// Restored is what became of a document that was brought back.
type Restored struct {
	Document Document
	JobID    uuid.UUID // that makes it searchable again; zero if it never was, or was not deleted
}
