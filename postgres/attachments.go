package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// selectAttachments reads attachments a with their files f for scanAttachment.
// Hidden files are attached to nothing.
const selectAttachments = `
	SELECT a.id, a.message_id, a.created_at, ` + fileColumns + `
	FROM attachments a
	JOIN files f ON f.id = a.file_id AND f.user_id IS NOT NULL AND f.deleted_at IS NULL`

func scanAttachment(row pgx.CollectableRow) (a voiceassist.Attachment, err error) {
	return a, row.Scan(append([]any{&a.ID, &a.MessageID, &a.CreatedAt}, fileFields(&a.File)...)...)
}

func oneAttachment(rows pgx.Rows, err error) (voiceassist.Attachment, error) {
	if err != nil {
		return voiceassist.Attachment{}, classify(err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanAttachment)
	return a, notFound(err, "attachment")
}

// attachFiles gives each message its attachments, in one query.
func (db *DB) attachFiles(ctx context.Context, messages []voiceassist.Message) error {
	place := make(map[uuid.UUID]int, len(messages))
	ids := make([]uuid.UUID, len(messages))
	for i, m := range messages {
		place[m.ID], ids[i] = i, m.ID
	}
	rows, err := db.pool.Query(ctx, selectAttachments+`
		WHERE a.message_id = ANY ($1)
		ORDER BY a.seq`, ids)
	if err != nil {
		return classify(err)
	}
	attachments, err := pgx.CollectRows(rows, scanAttachment)
	if err != nil {
		return classify(err)
	}
	for _, a := range attachments {
		m := &messages[place[a.MessageID]]
		m.Attachments = append(m.Attachments, a)
	}
	return nil
}

// Attach attaches one of the user's files to a message of one of the user's
// conversations. Possible ends: it is attached, now or before; NotFound;
// TooLarge for a file that is no attachment; Conflict when the message has
// MaxAttachments.
func (db *DB) Attach(ctx context.Context, userID, message, file uuid.UUID) (a voiceassist.Attachment, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		if err := ownMessage(ctx, tx, userID, message); err != nil {
			return err
		}
		a, err = attachFile(ctx, tx, userID, message, file)
		return err
	})
	return a, err
}

// ownMessage locks a message of the user's, or is NotFound.
func ownMessage(ctx context.Context, tx pgx.Tx, userID, id uuid.UUID) error {
	var found bool
	err := tx.QueryRow(ctx, `
		SELECT true
		FROM messages m
		JOIN conversations v ON v.id = m.conversation_id
		WHERE m.id = $1 AND v.user_id = $2
		FOR NO KEY UPDATE OF m`, id, userID).Scan(&found)
	return notFound(err, "message")
}

// attachQuestion attaches the files that a question names, in its order. It
// holds them in the order of their ids first, so that two questions with the
// same files do not wait for one another.
func attachQuestion(ctx context.Context, tx pgx.Tx, q voiceassist.Question, message uuid.UUID) error {
	if _, err := tx.Exec(ctx, `SELECT FROM files WHERE id = ANY ($1) AND user_id = $2 ORDER BY id FOR NO KEY UPDATE`, q.Attachments, q.UserID); err != nil {
		return err
	}
	for _, file := range q.Attachments {
		if _, err := attachFile(ctx, tx, q.UserID, message, file); err != nil {
			return err
		}
	}
	return nil
}

// attachFile is Attach for a message that is known to be the user's and locked.
func attachFile(ctx context.Context, tx pgx.Tx, userID, message, file uuid.UUID) (voiceassist.Attachment, error) {
	f, err := oneFile(tx.Query(ctx, `
		UPDATE files AS f
		SET attached_at = now()
		WHERE f.id = $1 AND f.user_id = $2 AND f.deleted_at IS NULL
		RETURNING `+fileColumns, file, userID))
	if err != nil {
		return voiceassist.Attachment{}, err
	}
	if f.Size > voiceassist.MaxAttachmentSize {
		return voiceassist.Attachment{}, voiceassist.Errorf(voiceassist.TooLarge,
			"Files of up to %d MB can be attached to a message", voiceassist.MaxAttachmentSize>>20)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO attachments (id, message_id, file_id)
		VALUES ($1, $2, $3)
		ON CONFLICT (message_id, file_id) DO NOTHING`, uuid.Must(uuid.NewV7()), message, file); err != nil {
		return voiceassist.Attachment{}, err
	}
	if err := checkCount(ctx, tx, message); err != nil {
		return voiceassist.Attachment{}, err
	}
	return oneAttachment(tx.Query(ctx, selectAttachments+`
		WHERE a.message_id = $1 AND a.file_id = $2`, message, file))
}

func checkCount(ctx context.Context, tx pgx.Tx, message uuid.UUID) error {
	var n int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM attachments WHERE message_id = $1`, message).Scan(&n); err != nil {
		return err
	}
	if n > voiceassist.MaxAttachments {
		return voiceassist.Errorf(voiceassist.Conflict, "A message has at most %d attachments", voiceassist.MaxAttachments)
	}
	return nil
}

// Attachment returns an attachment of one of the user's messages.
func (db *DB) Attachment(ctx context.Context, userID, id uuid.UUID) (voiceassist.Attachment, error) {
	return oneAttachment(db.pool.Query(ctx, selectAttachments+`
		WHERE a.id = $1 AND f.user_id = $2`, id, userID))
}

// Detach takes an attachment off one of the user's messages. The file goes with
// its last attachment: it is hidden and returned in a list of one then, and the
// list is empty otherwise.
func (db *DB) Detach(ctx context.Context, userID, id uuid.UUID) (hidden []voiceassist.File, err error) {
	err = db.tx(ctx, func(tx pgx.Tx) error {
		a, err := oneAttachment(tx.Query(ctx, selectAttachments+`
			WHERE a.id = $1 AND f.user_id = $2
			FOR UPDATE OF f`, id, userID))
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM attachments WHERE id = $1`, id); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE files
			SET deleted_at = now()
			WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM attachments WHERE file_id = $1)`, a.File.ID)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		hidden = []voiceassist.File{a.File}
		return addAudit(ctx, tx, aboutFile("file.deleted", a.File))
	})
	return hidden, err
}

// AttachedTexts returns the texts of what is attached to the messages, those of
// the latest message first, at most limit.
func (db *DB) AttachedTexts(ctx context.Context, messages []uuid.UUID, limit int) ([]voiceassist.AttachedText, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT f.filename, f.text
		FROM attachments a
		JOIN messages m ON m.id = a.message_id
		JOIN files f ON f.id = a.file_id AND f.user_id IS NOT NULL AND f.deleted_at IS NULL
		WHERE a.message_id = ANY ($1) AND f.text_status = 'extracted'
		ORDER BY m.seq DESC, a.seq
		LIMIT $2`, messages, limit)
	if err != nil {
		return nil, classify(err)
	}
	texts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[voiceassist.AttachedText])
	return texts, classify(err)
}
