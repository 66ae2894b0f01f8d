package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	voiceassist "github.com/voiceassist/backend"
)

// today is midnight UTC, which is the time zone of all our connections.
const today = `date_trunc('day', now())`

// Summary counts what there is now.
func (db *DB) Summary(ctx context.Context) (s voiceassist.Summary, err error) {
	err = db.reading(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `
			SELECT count(*), count(*) FILTER (WHERE is_active), count(*) FILTER (WHERE role = 'admin'),
				(SELECT count(*) FROM conversations),
				(SELECT count(*) FROM conversations WHERE created_at >= `+today+`),
				(SELECT count(*) FROM messages WHERE created_at >= `+today+` AND role = 'user')
			FROM users`).Scan(&s.Users, &s.ActiveUsers, &s.Admins, &s.Conversations, &s.ConversationsToday, &s.QuestionsToday); err != nil {
			return err
		}
		s.Documents, err = counts[voiceassist.DocumentState](ctx, tx, documentsByState)
		return err
	})
	return s, err
}

const documentsByState = `
	SELECT state, count(*)
	FROM documents
	WHERE deleted_at IS NULL
	GROUP BY state`

// Usage counts what happened on each of the last days, today being the last.
func (db *DB) Usage(ctx context.Context, days int) (u voiceassist.Usage, err error) {
	err = db.reading(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT `+today+` - make_interval(days => $1)`, days-1).Scan(&u.From); err != nil {
			return err
		}
		u.From = u.From.UTC()
		for _, series := range []struct {
			to     *[]int
			events string
		}{
			{&u.Registrations, `SELECT created_at, 1 FROM users WHERE created_at >= $1`},
			{&u.Conversations, `SELECT created_at, 1 FROM conversations WHERE created_at >= $1`},
			{&u.Questions, `SELECT created_at, 1 FROM messages WHERE created_at >= $1 AND role = 'user'`},
			{&u.Answers, `SELECT created_at, 1 FROM messages WHERE created_at >= $1 AND role = 'assistant'`},
			{&u.Uploads, `SELECT created_at, 1 FROM documents WHERE created_at >= $1 AND deleted_at IS NULL`},
		} {
			if *series.to, err = daily(ctx, tx, `count(*)`, series.events, u.From, days); err != nil {
				return err
			}
		}
		if u.ActiveUsers, err = daily(ctx, tx, `count(DISTINCT who)`, activity, u.From, days); err != nil {
			return err
		}
		if u.Roles, err = counts[voiceassist.Role](ctx, tx, `SELECT role, count(*) FROM users GROUP BY role`); err != nil {
			return err
		}
		u.Documents, err = counts[voiceassist.DocumentState](ctx, tx, documentsByState)
		return err
	})
	return u, err
}

// activity is when users did something. A session knows its last refresh and no
// earlier one.
const activity = `
	SELECT m.created_at, v.user_id
	FROM messages m
	JOIN conversations v ON v.id = m.conversation_id
	WHERE m.created_at >= $1 AND m.role = 'user'
	UNION ALL
	SELECT at, user_id
	FROM audit_entries
	WHERE at >= $1 AND action = 'auth.login' AND success
	UNION ALL
	SELECT last_used_at, user_id
	FROM sessions
	WHERE last_used_at >= $1`

// daily aggregates events, which are times from $1 on and who caused them, by
// day.
func daily(ctx context.Context, tx pgx.Tx, aggregate, events string, from time.Time, days int) ([]int, error) {
	rows, err := tx.Query(ctx, `
		SELECT coalesce(n, 0)
		FROM generate_series($1::timestamptz, $1 + make_interval(days => $2 - 1), interval '1 day') AS d (day)
		LEFT JOIN (
			SELECT date_trunc('day', at) AS day, `+aggregate+` AS n
			FROM (`+events+`) AS e (at, who)
			GROUP BY 1
		) AS counted USING (day)
		ORDER BY day`, from, days)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// counts reads rows of a key and how many there are of it.
func counts[K ~string](ctx context.Context, tx pgx.Tx, query string) (map[K]int, error) {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	m := map[K]int{}
	var key K
	var n int
	_, err = pgx.ForEachRow(rows, []any{&key, &n}, func() error { m[key] = n; return nil })
	return m, err
}

// reading runs f in a transaction that sees one state of the ledger throughout
// and changes nothing.
func (db *DB) reading(ctx context.Context, f func(pgx.Tx) error) error {
	o := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return classify(pgx.BeginTxFunc(ctx, db.pool, o, f))
}
