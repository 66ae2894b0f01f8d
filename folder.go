package voiceassist

import (
	"time"

	"github.com/google/uuid"
)

// Bounds of folders.
const (
	MaxFolderDepth = 10   // folders inside one another
	MaxFolders     = 1000 // of a user
)

// Folder holds conversations and other folders of a user. No two folders in the
// same place have the same name, whatever its case.
type Folder struct {
	ID        uuid.UUID
	UserID    uuid.UUID
	ParentID  *uuid.UUID // nil at the top
	Name      string
	Color     string // "" is none
	Icon      string // "" is none
	CreatedAt time.Time
}

// FolderChange is what becomes of a folder; nil fields change nothing.
type FolderChange struct {
	Name     *string
	Color    *string
	Icon     *string
	ParentID *uuid.UUID // the zero id puts it at the top
}
