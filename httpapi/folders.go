package httpapi

import (
	"context"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// Folders is what this package asks of postgres.DB about folders. What belongs
// to somebody else is NotFound. Creating and updating is Conflict when a folder
// of that name lies in the same place, or when it would lie too deep; updating
// also when it would lie inside itself.
type Folders interface {
	Folders(ctx context.Context, userID uuid.UUID) ([]voiceassist.Folder, error)
	Folder(ctx context.Context, userID, id uuid.UUID) (voiceassist.Folder, error)
	CreateFolder(ctx context.Context, f voiceassist.Folder) (voiceassist.Folder, error)
	UpdateFolder(ctx context.Context, userID, id uuid.UUID, change voiceassist.FolderChange) (voiceassist.Folder, error)
	// DeleteFolder moves folders up and leaves conversations in no folder. It
	// is Conflict when a folder would meet another of its name.
	DeleteFolder(ctx context.Context, userID, id uuid.UUID) error
}

// rootFolder is the name of the place in which the outermost folders lie.
const rootFolder = "root"

// Bounds of what a folder is called and looks like, in code points.
const (
	maxFolderName = 100
	maxFolderIcon = 50
)

// folderColor is a color that can stand in a style sheet and do nothing else.
var folderColor = regexp.MustCompile(`^(|#[0-9a-fA-F]{3,8}|[a-zA-Z][a-zA-Z0-9-]{0,31})$`)

// folderBody is a folder as clients see it.
type folderBody struct {
	ID             string  `json:"id"`
	UserID         string  `json:"user_id"`
	Name           string  `json:"name"`
	Color          *string `json:"color"`
	Icon           *string `json:"icon"`
	ParentFolderID *string `json:"parent_folder_id"`
	CreatedAt      string  `json:"created_at" format:"date-time"`
}

func folderOf(f voiceassist.Folder) folderBody {
	b := folderBody{
		ID: f.ID.String(), UserID: f.UserID.String(), Name: f.Name, ParentFolderID: idOrNil(f.ParentID), CreatedAt: stamp(f.CreatedAt),
	}
	if f.Color != "" {
		b.Color = &f.Color
	}
	if f.Icon != "" {
		b.Icon = &f.Icon
	}
	return b
}

// listFolders lists all of the user's folders unless a page of them is asked for:
// they are few, and clients make a tree of them.
func (s *Server) listFolders(ctx context.Context, in *struct{ Paging }) (array[twins[folderBody]], error) {
	folders, err := s.o.Folders.Folders(ctx, principal(ctx).User.ID)
	if err != nil {
		return array[twins[folderBody]]{}, err
	}
	rows := make([]twins[folderBody], len(folders))
	for i, f := range folders {
		rows[i] = both(folderOf(f))
	}
	if in.Paging == (Paging{}) {
		return array[twins[folderBody]]{rows: rows, total: len(rows), limit: voiceassist.MaxFolders}, nil
	}
	return pageOf(rows, in.Paging, requestOf(ctx).flat), nil
}

// folderNode is a folder with those in it.
type folderNode struct {
	folderBody
	Children []twins[folderNode] `json:"children"`
}

func (s *Server) folderTree(ctx context.Context, _ *none) (array[twins[folderNode]], error) {
	folders, err := s.o.Folders.Folders(ctx, principal(ctx).User.ID)
	if err != nil {
		return array[twins[folderNode]]{}, err
	}
	inside := map[uuid.UUID][]voiceassist.Folder{}
	for _, f := range folders {
		parent := uuid.Nil
		if f.ParentID != nil {
			parent = *f.ParentID
		}
		inside[parent] = append(inside[parent], f)
	}
	return array[twins[folderNode]]{rows: nodesIn(inside, uuid.Nil), total: len(folders), limit: voiceassist.MaxFolders}, nil
}

// nodesIn returns the folders in a folder. There are no circles among them.
func nodesIn(inside map[uuid.UUID][]voiceassist.Folder, id uuid.UUID) []twins[folderNode] {
	nodes := make([]twins[folderNode], 0, len(inside[id]))
	for _, f := range inside[id] {
		nodes = append(nodes, both(folderNode{folderBody: folderOf(f), Children: nodesIn(inside, f.ID)}))
	}
	return nodes
}

type folderInput struct {
	ID string `path:"id"`
}

func (s *Server) getFolder(ctx context.Context, in *folderInput) (twins[folderBody], error) {
	id, err := parseID(in.ID, "folder")
	if err != nil {
		return twins[folderBody]{}, err
	}
	f, err := s.o.Folders.Folder(ctx, principal(ctx).User.ID, id)
	return both(folderOf(f)), err
}

type createFolderInput struct {
	Body struct {
		Name           string           `json:"name"`
		Color          optional[string] `json:"color,omitzero"`
		Icon           optional[string] `json:"icon,omitzero"`
		ParentFolderID optional[string] `json:"parent_folder_id,omitzero"`
	}
}

func (s *Server) createFolder(ctx context.Context, in *createFolderInput) (twins[folderBody], error) {
	change, err := folderChange(&in.Body.Name, in.Body.Color, in.Body.Icon, in.Body.ParentFolderID)
	if err != nil {
		return twins[folderBody]{}, err
	}
	f := voiceassist.Folder{
		UserID: principal(ctx).User.ID, Name: *change.Name, Color: in.Body.Color.value, Icon: in.Body.Icon.value,
	}
	if change.ParentID != nil && *change.ParentID != uuid.Nil {
		f.ParentID = change.ParentID
	}
	f, err = s.o.Folders.CreateFolder(ctx, f)
	return both(folderOf(f)), err
}

type updateFolderInput struct {
	ID   string `path:"id"`
	Body struct {
		Name           *string          `json:"name,omitempty"`
		Color          optional[string] `json:"color,omitzero" doc:"null takes it away"`
		Icon           optional[string] `json:"icon,omitzero" doc:"null takes it away"`
		ParentFolderID optional[string] `json:"parent_folder_id,omitzero" doc:"null puts it at the top"`
	}
}

func (s *Server) updateFolder(ctx context.Context, in *updateFolderInput) (twins[folderBody], error) {
	id, err := parseID(in.ID, "folder")
	if err != nil {
		return twins[folderBody]{}, err
	}
	change, err := folderChange(in.Body.Name, in.Body.Color, in.Body.Icon, in.Body.ParentFolderID)
	if err != nil {
		return twins[folderBody]{}, err
	}
	f, err := s.o.Folders.UpdateFolder(ctx, principal(ctx).User.ID, id, change)
	return both(folderOf(f)), err
}

// folderChange checks what is said of a folder.
func folderChange(name *string, color, icon, parent optional[string]) (c voiceassist.FolderChange, err error) {
	if name != nil {
		if c.Name, err = checkFolderName(*name); err != nil {
			return c, err
		}
	}
	if !folderColor.MatchString(color.value) {
		return c, voiceassist.FieldError("color", "color must be the name of a color or like #1a2b3c")
	}
	if utf8.RuneCountInString(icon.value) > maxFolderIcon || strings.ContainsFunc(icon.value, unicode.IsControl) {
		return c, voiceassist.FieldError("icon", "icon must be at most %d characters long", maxFolderIcon)
	}
	c.Color, c.Icon = color.pointer(), icon.pointer()
	c.ParentID, err = place(parent)
	return c, err
}

func checkFolderName(name string) (*string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > maxFolderName {
		return nil, voiceassist.FieldError("name", "name must be 1 to %d characters long", maxFolderName)
	}
	if strings.ContainsFunc(name, unicode.IsControl) {
		return nil, voiceassist.FieldError("name", "name must not contain control characters")
	}
	return &name, nil
}

func (s *Server) deleteFolder(ctx context.Context, in *folderInput) (messageBody, error) {
	id, err := parseID(in.ID, "folder")
	if err != nil {
		return messageBody{}, err
	}
	return messageBody{Message: "Folder deleted"}, s.o.Folders.DeleteFolder(ctx, principal(ctx).User.ID, id)
}

type moveFolderInput struct {
	ID     string `path:"id"`
	Target string `path:"target" doc:"a folder, or root"`
}

func (s *Server) moveFolder(ctx context.Context, in *moveFolderInput) (twins[folderBody], error) {
	id, err := parseID(in.ID, "folder")
	if err != nil {
		return twins[folderBody]{}, err
	}
	target, err := place(optional[string]{given: true, value: in.Target})
	if err != nil {
		return twins[folderBody]{}, err
	}
	f, err := s.o.Folders.UpdateFolder(ctx, principal(ctx).User.ID, id, voiceassist.FolderChange{ParentID: target})
	return both(folderOf(f)), err
}
