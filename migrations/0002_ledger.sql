-- The ledger: every accepted document, the jobs that work on it, and what they
-- produced. Queue and index are projections of these tables.

CREATE TABLE documents (
    id            uuid PRIMARY KEY,
    sha256        text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    size          bigint NOT NULL CHECK (size > 0),
    filename      text NOT NULL,
    media_type    text NOT NULL,
    blob_key      text NOT NULL,
    title         text NOT NULL,
    source_type   text NOT NULL DEFAULT '',
    specialty     text NOT NULL DEFAULT '',
    category      text NOT NULL DEFAULT '',
    author        text NOT NULL DEFAULT '',
    metadata      jsonb NOT NULL DEFAULT '{}',
    state         text NOT NULL CHECK (state IN ('uploaded', 'processing', 'indexed', 'failed', 'cancelled')),
    stage         text NOT NULL DEFAULT '',
    progress      integer NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    error_code    text NOT NULL DEFAULT '',
    error_message text NOT NULL DEFAULT '',
    page_count    integer NOT NULL DEFAULT 0,
    passage_count integer NOT NULL DEFAULT 0,
    token_count   integer NOT NULL DEFAULT 0,
    generation    integer NOT NULL DEFAULT 0, -- the active one; 0 before the first
    version       integer NOT NULL DEFAULT 1,
    uploaded_by   uuid REFERENCES users (id) ON DELETE SET NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    indexed_at    timestamptz,
    deleted_at    timestamptz,
    CHECK (state <> 'failed' OR (error_code <> '' AND error_message <> ''))
);

-- The same bytes are one living document.
CREATE UNIQUE INDEX documents_sha256_key ON documents (sha256) WHERE deleted_at IS NULL;
CREATE INDEX documents_created_at_idx ON documents (created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX documents_blob_key_key ON documents (blob_key);
CREATE INDEX documents_state_idx ON documents (state) WHERE deleted_at IS NULL;

-- A job row is also its outbox entry: pending and unpublished means that the
-- relay owes the queue a delivery.
CREATE TABLE jobs (
    id            uuid PRIMARY KEY,
    document_id   uuid NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    kind          text NOT NULL CHECK (kind IN ('index', 'delete')),
    queue         text NOT NULL CHECK (queue IN ('interactive', 'default', 'bulk', 'maintenance')),
    state         text NOT NULL DEFAULT 'pending'
                  CHECK (state IN ('pending', 'running', 'completed', 'failed', 'superseded', 'cancelled')),
    stage         text NOT NULL DEFAULT '',
    attempts      integer NOT NULL DEFAULT 0, -- started; the current one is the fencing token
    given_back    integer NOT NULL DEFAULT 0, -- attempts that ended through nobody's fault: paced, or the worker stopped
    deliveries    integer NOT NULL DEFAULT 0, -- published to the queue
    progress      integer NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    processed     integer NOT NULL DEFAULT 0,
    total         integer NOT NULL DEFAULT 0,
    error_code    text NOT NULL DEFAULT '',
    error_message text NOT NULL DEFAULT '',
    run_at        timestamptz NOT NULL DEFAULT now(),
    published_at  timestamptz,
    lease_until   timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    started_at    timestamptz,
    completed_at  timestamptz,
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK (state <> 'pending' OR completed_at IS NULL)
);

-- One unfinished job of a kind per document: a second request joins the first.
CREATE UNIQUE INDEX jobs_unfinished_key ON jobs (document_id, kind) WHERE state IN ('pending', 'running');
CREATE INDEX jobs_relay_idx ON jobs (queue, run_at, id) WHERE state = 'pending' AND published_at IS NULL;
CREATE INDEX jobs_sweep_idx ON jobs (queue, published_at) WHERE state = 'pending' AND published_at IS NOT NULL;
CREATE INDEX jobs_lease_idx ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_document_id_idx ON jobs (document_id, created_at DESC);
CREATE INDEX jobs_created_at_idx ON jobs (created_at DESC, id DESC);

CREATE TABLE job_events (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id  uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt integer NOT NULL,
    stage   text NOT NULL,
    result  text NOT NULL CHECK (result IN ('done', 'retry', 'paced', 'failed', 'cancelled', 'interrupted')),
    detail  text NOT NULL DEFAULT '',
    took_us bigint NOT NULL DEFAULT 0,
    at      timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX job_events_job_id_idx ON job_events (job_id, id);

-- What an engine read out of some bytes: stored once, whoever uploads them.
CREATE TABLE extractions (
    sha256     text NOT NULL,
    engine     text NOT NULL,
    page_count integer NOT NULL,
    title      text NOT NULL DEFAULT '',
    author     text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sha256, engine)
);

CREATE TABLE pages (
    sha256 text NOT NULL,
    engine text NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    text   text NOT NULL,
    PRIMARY KEY (sha256, engine, number)
);

-- A generation is one complete indexing of a document. It is built beside the
-- active one and takes its place in a single update of documents.generation.
CREATE TABLE generations (
    document_id uuid NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    number      integer NOT NULL CHECK (number > 0),
    engine      text NOT NULL,
    chunker     text NOT NULL,
    profile     text NOT NULL DEFAULT '', -- of the dense vectors; '' is lexical only
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (document_id, number)
);

CREATE TABLE passages (
    id          uuid PRIMARY KEY,
    document_id uuid NOT NULL,
    generation  integer NOT NULL,
    ordinal     integer NOT NULL CHECK (ordinal >= 0),
    page        integer NOT NULL CHECK (page > 0),
    char_start  integer NOT NULL CHECK (char_start >= 0),
    char_end    integer NOT NULL CHECK (char_end > char_start),
    section     text NOT NULL DEFAULT '',
    text        text NOT NULL,
    tokens      integer NOT NULL,
    UNIQUE (document_id, generation, ordinal),
    FOREIGN KEY (document_id, generation) REFERENCES generations (document_id, number) ON DELETE CASCADE
);

-- Vectors by the text they stand for, so that no text is embedded twice.
-- Components are IEEE 754 half floats, little endian.
CREATE TABLE vectors (
    profile     text NOT NULL,
    text_sha256 bytea NOT NULL CHECK (length(text_sha256) = 32),
    vector      bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (profile, text_sha256)
);
