package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// fileColumns are read by fileFields, in this order.
const fileColumns = `
	f.id, f.user_id, f.filename, f.media_type, f.size, f.sha256, f.blob_key, f.text_status, f.text_reason, f.text_truncated,
	f.created_at`

func fileFields(f *voiceassist.File) []any {
	return []any{
		&f.ID, &f.UserID, &f.Filename, &f.MediaType, &f.Size, &f.SHA256, &f.BlobKey, &f.TextStatus, &f.TextReason, &f.TextTruncated,
		&f.CreatedAt,
	}
}

func oneFile(rows pgx.Rows, err error) (voiceassist.File, error) {
	if err != nil {
		return voiceassist.File{}, classify(err)
	}
	f, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (f voiceassist.File, err error) {
		return f, row.Scan(fileFields(&f)...)
	})
	return f, notFound(err, "file")
}

// NewFile is a received file that the ledger is to keep.
type NewFile struct {
	UserID   uuid.UUID
	Received voiceassist.Received
	Text     voiceassist.FileText
	Quota    int64      // bytes that all files of the user may have; 0 is no limit
	Message  *uuid.UUID // to which it is attached at once; nil for none
}

// AddFile stores a file whose bytes are in the blob store, and attaches it if
// it is for a message; the attachment is zero otherwise. A user whose files
// would take more than the quota is told TooLarge; the errors of Attach besides.
func (db *DB) AddFile(ctx context.Context, n NewFile) (f voiceassist.File, a voiceassist.Attachment, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := checkQuota(ctx, tx, n); err != nil {
			return err
		}
		if f, err = insertFile(ctx, tx, n); err != nil {
			return err
		}
		if err := addAudit(ctx, tx, aboutFile("file.uploaded", f)); err != nil || n.Message == nil {
			return err
		}
		if err := ownMessage(ctx, tx, n.UserID, *n.Message); err != nil {
			return err
		}
		a, err = attachFile(ctx, tx, n.UserID, *n.Message, f.ID)
		return err
	})
	return f, a, err
}

func insertFile(ctx context.Context, tx pgx.Tx, n NewFile) (voiceassist.File, error) {
	r := n.Received
	return oneFile(tx.Query(ctx, `
		INSERT INTO files AS f (id, user_id, filename, media_type, size, sha256, blob_key, text_status, text_reason, text_truncated, text)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		RETURNING `+fileColumns,
		uuid.Must(uuid.NewV7()), n.UserID, r.Filename, r.MediaType, r.Size, r.SHA256, r.BlobKey,
		n.Text.Status, n.Text.Reason, n.Text.Truncated, n.Text.Text))
}

// checkQuota takes the user's uploads one after the other.
func checkQuota(ctx context.Context, tx pgx.Tx, n NewFile) error {
	if n.Quota == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, `SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE`, n.UserID); err != nil {
		return err
	}
	var used int64
	if err := tx.QueryRow(ctx, `
		SELECT coalesce(sum(size), 0)::bigint
		FROM files
		WHERE user_id = $1 AND deleted_at IS NULL`, n.UserID).Scan(&used); err != nil {
		return err
	}
	if used+n.Received.Size > n.Quota {
		return voiceassist.Errorf(voiceassist.TooLarge,
			"Your files may take %d MB together and take %d MB already: delete some first", n.Quota>>20, used>>20)
	}
	return nil
}

func aboutFile(action string, f voiceassist.File) voiceassist.AuditEntry {
	return voiceassist.AuditEntry{Action: action, ResourceType: "file", ResourceID: f.ID.String()}
}

// HasFile reports whether a file's bytes are kept under a key.
func (db *DB) HasFile(ctx context.Context, blobKey string) (has bool, err error) {
	err = db.pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM files WHERE blob_key = $1)`, blobKey).Scan(&has)
	return has, classify(err)
}

// File returns a file, whoever's it is.
func (db *DB) File(ctx context.Context, id uuid.UUID) (voiceassist.File, error) {
	return oneFile(db.pool.Query(ctx, `
		SELECT `+fileColumns+`
		FROM files f
		WHERE f.id = $1 AND f.user_id IS NOT NULL AND f.deleted_at IS NULL`, id))
}

// HideFile marks one of the user's files as deleted, so that nothing shows it
// any more, and returns it. Its bytes and its row are still to be removed.
func (db *DB) HideFile(ctx context.Context, userID, id uuid.UUID) (f voiceassist.File, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		f, err = oneFile(tx.Query(ctx, `
			UPDATE files AS f
			SET deleted_at = now()
			WHERE f.id = $1 AND f.user_id = $2 AND f.deleted_at IS NULL
			RETURNING `+fileColumns, id, userID))
		if err != nil {
			return err
		}
		return addAudit(ctx, tx, aboutFile("file.deleted", f))
	})
	return f, err
}

// attachmentGrace is for how long after it was attached a file is not taken for
// one that lost its attachments. It only has to exceed a transaction.
const attachmentGrace = time.Minute

// HideDetachedFiles marks the files that were attached and are no longer:
// message or conversation is gone. It returns how many there were.
func (db *DB) HideDetachedFiles(ctx context.Context) (int, error) {
	// A file that is being attached again has a new attached_at, which is looked
	// at again once its row is free; the attachments are not.
	tag, err := db.pool.Exec(ctx, `
		UPDATE files f
		SET deleted_at = now()
		WHERE f.attached_at < now() - $1::interval AND f.deleted_at IS NULL
			AND NOT EXISTS (SELECT 1 FROM attachments a WHERE a.file_id = f.id)`, attachmentGrace)
	return int(tag.RowsAffected()), classify(err)
}

// Doomed is a file that is hidden and still has bytes and a row.
type Doomed struct {
	ID      uuid.UUID
	BlobKey string
}

// DoomedFiles returns at most limit files that are to be removed, those with an
// id above after, in the order of their ids.
func (db *DB) DoomedFiles(ctx context.Context, after uuid.UUID, limit int) ([]Doomed, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT id, blob_key
		FROM files
		WHERE (deleted_at IS NOT NULL OR user_id IS NULL) AND id > $1
		ORDER BY id
		LIMIT $2`, after, limit)
	if err != nil {
		return nil, classify(err)
	}
	doomed, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Doomed])
	return doomed, classify(err)
}

// ForgetFile removes the row of a doomed file whose bytes are gone.
func (db *DB) ForgetFile(ctx context.Context, id uuid.UUID) error {
	_, err := db.pool.Exec(ctx, `
		DELETE FROM files
		WHERE id = $1 AND (deleted_at IS NOT NULL OR user_id IS NULL)`, id)
	return classify(err)
}
