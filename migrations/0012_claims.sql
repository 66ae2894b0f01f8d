-- Large jobs are done in parts, and no text is embedded twice.

-- An extraction is there from its first pages on; it is complete once all
-- pages are stored.
ALTER TABLE extractions ADD COLUMN complete boolean NOT NULL DEFAULT true;

-- The text that a passage's vector stands for; NULL in a generation without
-- vectors and in those made before.
ALTER TABLE passages ADD COLUMN vector_sha256 bytea CHECK (length(vector_sha256) = 32);

-- Whose turn it is to embed a text. A claim lasts as long as the lease of the
-- attempt that holds it, and ends in the transaction that stores the vector.
CREATE TABLE embedding_claims (
    profile     text NOT NULL,
    text_sha256 bytea NOT NULL CHECK (length(text_sha256) = 32),
    job_id      uuid NOT NULL, -- no foreign key: its check would lock the job
    attempt     integer NOT NULL,
    PRIMARY KEY (profile, text_sha256)
);

CREATE INDEX jobs_waiting_idx ON jobs (id) WHERE state = 'waiting';

-- An attempt that ends because others do its work in parts has split.
ALTER TABLE job_events DROP CONSTRAINT job_events_result_check;
ALTER TABLE job_events ADD CONSTRAINT job_events_result_check
    CHECK (result IN ('done', 'retry', 'paced', 'split', 'failed', 'cancelled', 'interrupted'));
