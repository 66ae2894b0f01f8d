package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// folderColumns are read by scanFolder, in this order.
const folderColumns = `f.id, f.user_id, f.parent_id, f.name, f.color, f.icon, f.created_at`

func scanFolder(row pgx.CollectableRow) (voiceassist.Folder, error) {
	var f voiceassist.Folder
	err := row.Scan(&f.ID, &f.UserID, &f.ParentID, &f.Name, &f.Color, &f.Icon, &f.CreatedAt)
	return f, err
}

func oneFolder(rows pgx.Rows, err error) (voiceassist.Folder, error) {
	if err != nil {
		return voiceassist.Folder{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanFolder)
}

// Folders returns all folders of a user, by name.
func (db *DB) Folders(ctx context.Context, userID uuid.UUID) ([]voiceassist.Folder, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT `+folderColumns+`
		FROM folders f
		WHERE f.user_id = $1
		ORDER BY lower(f.name), f.id`, userID)
	if err != nil {
		return nil, classify(err)
	}
	folders, err := pgx.CollectRows(rows, scanFolder)
	return folders, classify(err)
}

// Folder returns one of the user's folders.
func (db *DB) Folder(ctx context.Context, userID, id uuid.UUID) (voiceassist.Folder, error) {
	f, err := oneFolder(db.pool.Query(ctx, `SELECT `+folderColumns+` FROM folders f WHERE f.id = $1 AND f.user_id = $2`, id, userID))
	return f, notFound(err, "folder")
}

// CreateFolder stores a new folder of f.UserID. It is NotFound when its parent
// is not theirs, and Conflict when there is one of that name, when it would lie
// too deep or when they have too many.
func (db *DB) CreateFolder(ctx context.Context, f voiceassist.Folder) (voiceassist.Folder, error) {
	err := db.changeFolders(ctx, f.UserID, func(tx pgx.Tx) (uuid.UUID, error) {
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM folders WHERE user_id = $1`, f.UserID).Scan(&n); err != nil {
			return uuid.Nil, err
		}
		if n >= voiceassist.MaxFolders {
			return uuid.Nil, voiceassist.Errorf(voiceassist.Conflict, "There can be at most %d folders", voiceassist.MaxFolders)
		}
		if err := holdFolder(ctx, tx, f.UserID, f.ParentID); err != nil {
			return uuid.Nil, err
		}
		var err error
		f, err = oneFolder(tx.Query(ctx, `
			INSERT INTO folders AS f (id, user_id, parent_id, name, color, icon)
			VALUES ($1, $2, $3, $4, $5, $6)
			RETURNING `+folderColumns, uuid.Must(uuid.NewV7()), f.UserID, f.ParentID, f.Name, f.Color, f.Icon))
		return f.ID, err
	})
	return f, err
}

// UpdateFolder changes one of the user's folders. It is NotFound when the
// folder or the new parent is not theirs, and Conflict when there is one of
// that name, when it would lie too deep or inside itself.
func (db *DB) UpdateFolder(ctx context.Context, userID, id uuid.UUID, change voiceassist.FolderChange) (f voiceassist.Folder, err error) {
	err = db.changeFolders(ctx, userID, func(tx pgx.Tx) (uuid.UUID, error) {
		if err := holdFolder(ctx, tx, userID, change.ParentID); err != nil {
			return uuid.Nil, err
		}
		if err := checkNotInside(ctx, tx, id, change.ParentID); err != nil {
			return uuid.Nil, err
		}
		f, err = oneFolder(tx.Query(ctx, `
			UPDATE folders AS f
			SET name = coalesce($3, name), color = coalesce($4, color), icon = coalesce($5, icon),
				parent_id = CASE WHEN $6::uuid IS NULL THEN parent_id ELSE nullif($6, '00000000-0000-0000-0000-000000000000'::uuid) END
			WHERE f.id = $1 AND f.user_id = $2
			RETURNING `+folderColumns, id, userID, change.Name, change.Color, change.Icon, change.ParentID))
		return id, notFound(err, "folder")
	})
	return f, err
}

// DeleteFolder removes one of the user's folders. Folders in it move to where
// it was; its conversations are in no folder afterwards. It is Conflict when
// one of the folders would meet another of its name.
func (db *DB) DeleteFolder(ctx context.Context, userID, id uuid.UUID) error {
	return db.changeFolders(ctx, userID, func(tx pgx.Tx) (uuid.UUID, error) {
		f, err := oneFolder(tx.Query(ctx, `SELECT `+folderColumns+` FROM folders f WHERE f.id = $1 AND f.user_id = $2`, id, userID))
		if err != nil {
			return uuid.Nil, notFound(err, "folder")
		}
		// The name of the folder that goes is free for what moves up.
		if _, err := tx.Exec(ctx, `UPDATE folders SET name = name || '/' || id WHERE id = $1`, id); err != nil {
			return uuid.Nil, err
		}
		if _, err := tx.Exec(ctx, `UPDATE folders SET parent_id = $2 WHERE parent_id = $1`, id, f.ParentID); err != nil {
			return uuid.Nil, err
		}
		_, err = tx.Exec(ctx, `DELETE FROM folders WHERE id = $1`, id)
		return uuid.Nil, err
	})
}

// changeFolders runs change alone among the changes of the user's folders, so
// that two of them cannot make a circle between them. Change returns the folder
// that moved, if one did, whose contents must not lie too deep then.
func (db *DB) changeFolders(ctx context.Context, userID uuid.UUID, change func(pgx.Tx) (uuid.UUID, error)) error {
	err := db.tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE`, userID); err != nil {
			return err
		}
		moved, err := change(tx)
		if err != nil || moved == uuid.Nil {
			return err
		}
		return checkDepth(ctx, tx, moved)
	})
	if violates(err, "folders_name_key") {
		return voiceassist.Errorf(voiceassist.Conflict, "There is a folder of this name already")
	}
	return err
}

// checkNotInside is Conflict when parent is the folder itself or lies in it.
func checkNotInside(ctx context.Context, tx pgx.Tx, id uuid.UUID, parent *uuid.UUID) error {
	if parent == nil || *parent == uuid.Nil {
		return nil
	}
	var inside bool
	err := tx.QueryRow(ctx, `
		WITH RECURSIVE above (id) AS (
			SELECT $2::uuid
			UNION ALL
			SELECT f.parent_id
			FROM above a
			JOIN folders f ON f.id = a.id
			WHERE f.parent_id IS NOT NULL
		)
		SELECT EXISTS (SELECT 1 FROM above WHERE id = $1)`, id, *parent).Scan(&inside)
	if err == nil && inside {
		err = voiceassist.Errorf(voiceassist.Conflict, "A folder cannot lie inside itself")
	}
	return err
}

// checkDepth is Conflict when something in the folder lies too deep.
func checkDepth(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	var depth int
	err := tx.QueryRow(ctx, `
		WITH RECURSIVE above (id, n) AS (
			SELECT $1::uuid, 1
			UNION ALL
			SELECT f.parent_id, a.n + 1
			FROM above a
			JOIN folders f ON f.id = a.id
			WHERE f.parent_id IS NOT NULL
		), below (id, n) AS (
			SELECT $1::uuid, 0
			UNION ALL
			SELECT f.id, b.n + 1
			FROM below b
			JOIN folders f ON f.parent_id = b.id
		)
		SELECT (SELECT max(n) FROM above) + (SELECT max(n) FROM below)`, id).Scan(&depth)
	if err == nil && depth > voiceassist.MaxFolderDepth {
		err = voiceassist.Errorf(voiceassist.Conflict, "Folders lie at most %d deep", voiceassist.MaxFolderDepth)
	}
	return err
}
