package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// sessionsChannel is the channel on which a transaction that ended sessions, or
// changed users, tells whose.
const sessionsChannel = "voiceassist_sessions"

// OnSessions has f called with the id of each user whose sessions ended or who
// changed; the zero id is everybody. When this process made the change, f has
// been called before the method that made it returns: every connection of the
// pool listens, and Postgres tells a connection of its own notifications before
// it confirms the commit. Changes of other processes arrive through
// ListenSessions. f must not block.
func (db *DB) OnSessions(f func(userID uuid.UUID)) { db.onSessions.Store(&f) }

// hear makes the connections of a pool tell of what they commit.
func (db *DB) hear(cfg *pgxpool.Config) {
	cfg.ConnConfig.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { db.toldOf(n.Payload) }
	cfg.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, `LISTEN `+sessionsChannel)
		return err
	}
}

func (db *DB) toldOf(user string) {
	f := db.onSessions.Load()
	if f == nil {
		return
	}
	id, err := uuid.Parse(user)
	if err != nil {
		id = uuid.Nil
	}
	(*f)(id)
}

// ListenSessions hears of sessions that any process ends, until ctx ends or the
// connection breaks. It begins with the zero id: something may have been missed.
func (db *DB) ListenSessions(ctx context.Context) error {
	return db.listen(ctx, sessionsChannel, db.toldOf)
}

// Listen calls wake whenever a transaction that added jobs commits, and once
// when it starts to listen, until ctx ends or the connection breaks.
func (db *DB) Listen(ctx context.Context, wake func()) error {
	return db.listen(ctx, JobsChannel, func(string) { wake() })
}

// listen calls each with the payload of every notification, first with "" when
// it begins to listen, over a connection of its own.
func (db *DB) listen(ctx context.Context, channel string, each func(payload string)) error {
	cfg := db.pool.Config().ConnConfig
	cfg.OnNotification = nil // it would keep them from WaitForNotification
	c, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return classify(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = c.Close(ctx)
	}()
	if _, err := c.Exec(ctx, `LISTEN `+channel); err != nil {
		return classify(err)
	}
	for payload := ""; ; {
		each(payload)
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return classify(err)
		}
		payload = n.Payload
	}
}
