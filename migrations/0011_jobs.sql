-- Large jobs are done in parts by several workers, wait at gates, and take
-- turns.

ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('index', 'delete', 'refresh', 'purge', 'extract', 'embed'));

-- A job that waits has parts that are unfinished. The last of them to end makes
-- it pending again.
ALTER TABLE jobs DROP CONSTRAINT jobs_state_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_state_check
    CHECK (state IN ('pending', 'running', 'waiting', 'completed', 'failed', 'superseded', 'cancelled'));

ALTER TABLE jobs
    ADD COLUMN parent_id  uuid REFERENCES jobs (id) ON DELETE CASCADE, -- of a part: the job that waits for it
    ADD COLUMN first      integer NOT NULL DEFAULT 0, -- of a part: the first and the last page, from 1,
    ADD COLUMN last       integer NOT NULL DEFAULT 0, -- or passage, from 0
    ADD COLUMN generation integer NOT NULL DEFAULT 0, -- that the job builds and goes on with when it runs again; 0 is none
    ADD COLUMN gate       text NOT NULL DEFAULT '',   -- that has to be open for it to be published; '' is none
    ADD COLUMN lane       text NOT NULL DEFAULT '',   -- jobs of a queue take turns by lane: 'user:<id>', 'batch:<id>', 'reindex', ''
    ADD CONSTRAINT jobs_part_check CHECK ((parent_id IS NOT NULL) = (kind IN ('extract', 'embed')));

-- One unfinished job of a kind per document, parts aside.
DROP INDEX jobs_unfinished_key;
CREATE UNIQUE INDEX jobs_unfinished_key ON jobs (document_id, kind)
    WHERE state IN ('pending', 'running', 'waiting') AND parent_id IS NULL;
CREATE INDEX jobs_parent_id_idx ON jobs (parent_id) WHERE parent_id IS NOT NULL;

DROP INDEX jobs_relay_idx;
CREATE INDEX jobs_relay_idx ON jobs (queue, lane, run_at, id) WHERE state = 'pending' AND published_at IS NULL;
