-- Loads of many files, and the account of each file.

CREATE TABLE batches (
    id           uuid PRIMARY KEY,
    name         text NOT NULL CHECK (name <> ''),
    manifest     boolean NOT NULL,               -- only files that it lists are taken
    more         boolean NOT NULL DEFAULT false, -- entries of the manifest are still to come
    source_type  text NOT NULL DEFAULT '',       -- of files whose upload does not say another
    specialty    text NOT NULL DEFAULT '',
    category     text NOT NULL DEFAULT '',
    author       text NOT NULL DEFAULT '',
    webhook_url  text NOT NULL DEFAULT '',       -- that is told of the end; '' is none
    notify       boolean NOT NULL DEFAULT false, -- whether whoever opened it is mailed the end
    created_by   uuid REFERENCES users (id) ON DELETE SET NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    paused_at    timestamptz,
    cancelled_at timestamptz,
    closed_at    timestamptz,                    -- no more files come
    ended_at     timestamptz                     -- nothing is left to do
);

CREATE INDEX batches_created_by_idx ON batches (created_by);
CREATE INDEX batches_created_at_idx ON batches (created_at DESC, id DESC);
CREATE INDEX batches_open_idx ON batches (id) WHERE ended_at IS NULL;

-- A file of a batch is known by its name and its bytes: listing it twice is
-- listing it once. Of one that was received, the document tells the fate.
CREATE TABLE batch_files (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order of the manifest
    batch_id    uuid NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    name        text NOT NULL CHECK (name <> ''),
    size        bigint NOT NULL DEFAULT 0 CHECK (size >= 0),     -- bytes; 0 if nobody knows
    sha256      text NOT NULL DEFAULT '' CHECK (sha256 ~ '^([0-9a-f]{64})?$'), -- '' of one that was refused unread
    state       text NOT NULL CHECK (state IN ('awaited', 'received', 'duplicate', 'skipped', 'cancelled', 'deleted')),
    reason      text NOT NULL DEFAULT '',
    message     text NOT NULL DEFAULT '',
    document_id uuid, -- no reference: the account outlives the document
    added_at    timestamptz NOT NULL DEFAULT now(),
    received_at timestamptz, -- when its bytes were committed, or recognised
    UNIQUE (batch_id, name, sha256),
    CHECK (state NOT IN ('received', 'duplicate', 'deleted') OR document_id IS NOT NULL),
    CHECK (state <> 'skipped' OR (reason <> '' AND message <> ''))
);

CREATE INDEX batch_files_batch_idx ON batch_files (batch_id, id);
CREATE INDEX batch_files_sha256_idx ON batch_files (batch_id, sha256);
CREATE INDEX batch_files_awaited_idx ON batch_files (batch_id) WHERE state = 'awaited';
CREATE INDEX batch_files_document_idx ON batch_files (document_id) WHERE state = 'received';

-- A document that is purged after its deletion leaves that in the account. The
-- row of a living document that vanishes does not: the batch is then out of
-- balance.
CREATE FUNCTION note_purged_document() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE batch_files SET state = 'deleted' WHERE document_id = OLD.id AND state = 'received';
    RETURN NULL;
END $$;

CREATE TRIGGER documents_purged AFTER DELETE ON documents
    FOR EACH ROW WHEN (OLD.deleted_at IS NOT NULL)
    EXECUTE FUNCTION note_purged_document();

-- What has become of each document. One that is to be worked on and has no
-- unfinished job, or waits for parts that have all ended, is lost.
CREATE VIEW document_fates AS
SELECT d.id,
    CASE
        WHEN d.deleted_at IS NOT NULL THEN 'deleted'
        WHEN d.state IN ('failed', 'cancelled') THEN d.state
        WHEN d.state = 'indexed' THEN CASE WHEN d.generation > 0 THEN 'indexed' ELSE 'lost' END
        WHEN EXISTS (
            SELECT 1
            FROM jobs j
            WHERE j.document_id = d.id AND j.kind = 'index' AND j.parent_id IS NULL
                AND j.state IN ('pending', 'running', 'waiting')
                AND (j.state <> 'waiting' OR EXISTS (
                    SELECT 1
                    FROM jobs p
                    WHERE p.parent_id = j.id AND p.state IN ('pending', 'running')
                ))
        ) THEN 'in_flight'
        ELSE 'lost'
    END AS fate,
    d.error_code, d.error_message, d.indexed_at, d.updated_at
FROM documents d;

-- What has become of each file of each batch, and why. finished_at is NULL of
-- one that is not.
CREATE VIEW batch_fates AS
SELECT f.id, f.batch_id, f.name, f.size, f.sha256, f.document_id, f.added_at, f.received_at,
    CASE
        WHEN f.state = 'deleted' OR f.state = 'received' AND d.fate = 'deleted' THEN 'cancelled'
        WHEN f.state <> 'received' THEN f.state
        ELSE coalesce(d.fate, 'lost')
    END AS fate,
    CASE
        WHEN f.state = 'deleted' OR f.state = 'received' AND d.fate = 'deleted' THEN 'deleted'
        WHEN f.state <> 'received' THEN f.reason
        WHEN d.fate IN ('failed', 'cancelled') THEN d.error_code
        ELSE ''
    END AS reason,
    CASE
        WHEN f.state = 'deleted' OR f.state = 'received' AND d.fate = 'deleted' THEN 'The document was deleted.'
        WHEN f.state <> 'received' THEN f.message
        WHEN d.fate IN ('failed', 'cancelled') THEN d.error_message
        WHEN coalesce(d.fate, 'lost') = 'lost' THEN 'The library has lost this file: nothing works on it. Upload it again.'
        ELSE ''
    END AS message,
    CASE
        WHEN f.state = 'awaited' THEN NULL
        WHEN f.state <> 'received' THEN coalesce(f.received_at, f.added_at)
        WHEN d.fate = 'indexed' THEN d.indexed_at
        WHEN d.fate IN ('failed', 'cancelled', 'deleted') THEN d.updated_at
    END AS finished_at
FROM batch_files f
LEFT JOIN document_fates d ON d.id = f.document_id AND f.state = 'received';

-- accepted = indexed + duplicate + skipped + failed + cancelled + in_flight, or
-- something is lost: the imbalance says how much.
CREATE VIEW batch_accounts AS
SELECT t.*, t.accepted - t.indexed - t.duplicate - t.skipped - t.failed - t.cancelled - t.in_flight AS imbalance
FROM (
    SELECT f.batch_id,
        sum(f.n)::bigint AS declared,
        coalesce(sum(f.n) FILTER (WHERE f.fate = 'awaited'), 0)::bigint AS awaited,
        coalesce(sum(f.n) FILTER (WHERE f.fate <> 'awaited'), 0)::bigint AS accepted,
        coalesce(sum(f.n) FILTER (WHERE f.fate = 'indexed'), 0)::bigint AS indexed,
        coalesce(sum(f.n) FILTER (WHERE f.fate = 'duplicate'), 0)::bigint AS duplicate,
        coalesce(sum(f.n) FILTER (WHERE f.fate = 'skipped'), 0)::bigint AS skipped,
        coalesce(sum(f.n) FILTER (WHERE f.fate = 'failed'), 0)::bigint AS failed,
        coalesce(sum(f.n) FILTER (WHERE f.fate = 'cancelled'), 0)::bigint AS cancelled,
        coalesce(sum(f.n) FILTER (WHERE f.fate = 'in_flight'), 0)::bigint AS in_flight
    FROM (SELECT batch_id, fate, count(*) AS n FROM batch_fates GROUP BY batch_id, fate) f -- the fate is worked out once
    GROUP BY f.batch_id
) t;

-- The same of all documents, whatever they came with.
CREATE VIEW library_account AS
SELECT t.*, t.accepted - t.indexed - t.failed - t.cancelled - t.deleted - t.in_flight AS imbalance
FROM (
    SELECT coalesce(sum(n), 0)::bigint AS accepted,
        coalesce(sum(n) FILTER (WHERE fate = 'indexed'), 0)::bigint AS indexed,
        coalesce(sum(n) FILTER (WHERE fate = 'failed'), 0)::bigint AS failed,
        coalesce(sum(n) FILTER (WHERE fate = 'cancelled'), 0)::bigint AS cancelled,
        coalesce(sum(n) FILTER (WHERE fate = 'deleted'), 0)::bigint AS deleted,
        coalesce(sum(n) FILTER (WHERE fate = 'in_flight'), 0)::bigint AS in_flight
    FROM (SELECT fate, count(*) AS n FROM document_fates GROUP BY fate) f
) t;

-- What somebody outside is to be told: committed with what it tells of, and sent
-- until it has arrived or is given up.
CREATE TABLE notices (
    id           uuid PRIMARY KEY,
    batch_id     uuid NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    kind         text NOT NULL CHECK (kind IN ('webhook', 'mail')),
    body         text NOT NULL, -- of the webhook's request, to the byte; of the mail
    attempts     integer NOT NULL DEFAULT 0,
    next_at      timestamptz NOT NULL DEFAULT now(), -- not before; while it is being sent, the end of the lease
    last_error   text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    given_up_at  timestamptz,
    CHECK (delivered_at IS NULL OR given_up_at IS NULL)
);

CREATE INDEX notices_due_idx ON notices (next_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX notices_batch_idx ON notices (batch_id);
