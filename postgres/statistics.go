package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// AnalyzeGrown brings the planner's statistics of tables up to date that have
// about doubled since they last were, and returns how many there were. A plan
// that was made while a table was empty is kept, and read from end to end for
// every row, until then: autovacuum looks once a minute, in which a load adds
// tens of thousands of rows.
func (db *DB) AnalyzeGrown(ctx context.Context) (n int, err error) {
	rows, err := db.pool.Query(ctx, `
		SELECT relname
		FROM pg_stat_user_tables
		WHERE schemaname = current_schema() AND n_mod_since_analyze > 1000 + n_live_tup / 2`)
	if err != nil {
		return 0, classify(err)
	}
	grown, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, classify(err)
	}
	for _, table := range grown {
		if _, err := db.pool.Exec(ctx, `ANALYZE `+pgx.Identifier{table}.Sanitize()); err != nil {
			return n, classify(err)
		}
		n++
	}
	return n, nil
}
