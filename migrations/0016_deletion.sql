-- A deleted document can be brought back until purge_at, or not at all without
-- one: the version before deletes so. After that a job removes its text and its
-- original; the tombstone stays.
ALTER TABLE documents
    ADD COLUMN purge_at  timestamptz,
    ADD COLUMN purged_at timestamptz;

-- Deletions from before were for good. What they had not removed yet is removed
-- by a job of its own; a worker of the version before may do it as well.
UPDATE documents d
SET purge_at = deleted_at,
    purged_at = CASE WHEN EXISTS (
        SELECT 1 FROM jobs j WHERE j.document_id = d.id AND j.kind = 'delete' AND j.state = 'completed'
    ) THEN d.updated_at END
WHERE deleted_at IS NOT NULL;

INSERT INTO jobs (id, document_id, kind, queue)
SELECT gen_random_uuid(), id, 'purge', 'maintenance'
FROM documents
WHERE deleted_at IS NOT NULL AND purged_at IS NULL;

ALTER TABLE documents
    ADD CONSTRAINT documents_purge_check CHECK (deleted_at IS NOT NULL OR purge_at IS NULL AND purged_at IS NULL);

-- What can be brought back, and what is kept of the bytes that it was made of.
CREATE INDEX documents_deleted_at_idx ON documents (deleted_at DESC, id) WHERE deleted_at IS NOT NULL AND purged_at IS NULL;
CREATE INDEX documents_kept_sha256_idx ON documents (sha256) WHERE purged_at IS NULL;

-- Keys in the order in which the blob store lists them, to compare the two.
CREATE UNIQUE INDEX documents_blob_key_c_idx ON documents (blob_key COLLATE "C") WHERE purged_at IS NULL;

-- Which vectors no passage has any more is asked by digest.
CREATE INDEX passages_vector_sha256_idx ON passages USING hash (vector_sha256);

-- A comparison of ledger, index, blob store and queue: asked for, under way, or
-- ended. At most one is unfinished. Schedulers do it, and go on with it when
-- the one that did has died.
CREATE TABLE verifications (
    id           uuid PRIMARY KEY,
    night        date UNIQUE, -- for which it was scheduled; NULL: somebody asked
    repair       boolean NOT NULL DEFAULT false,
    requested_at timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    finished_at  timestamptz,
    error        text NOT NULL DEFAULT '',   -- why it could not be done
    checked      jsonb NOT NULL DEFAULT '{}', -- how much was looked at, by what it is
    counts       jsonb NOT NULL DEFAULT '{}', -- differences by kind
    repaired     integer NOT NULL DEFAULT 0,
    differences  jsonb NOT NULL DEFAULT '[]'  -- the first of them
);

CREATE UNIQUE INDEX verifications_unfinished_key ON verifications ((true)) WHERE finished_at IS NULL;
CREATE INDEX verifications_finished_at_idx ON verifications (finished_at DESC);
