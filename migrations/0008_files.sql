-- Files of users and what they are attached to, clinical contexts, reports
-- about citations, and settings.

-- A file's bytes are in the blob store. They are written before the row and
-- removed after it was marked, so that no row points at nothing while it shows.
CREATE TABLE files (
    id             uuid PRIMARY KEY,
    user_id        uuid REFERENCES users (id) ON DELETE SET NULL, -- NULL: to be removed
    filename       text NOT NULL,
    media_type     text NOT NULL,
    size           bigint NOT NULL CHECK (size > 0),
    sha256         text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    blob_key       text NOT NULL UNIQUE,
    text_status    text NOT NULL CHECK (text_status IN ('extracted', 'no_text', 'unsupported', 'failed')),
    text_reason    text NOT NULL DEFAULT '',
    text_truncated boolean NOT NULL DEFAULT false,
    text           text NOT NULL DEFAULT '' CHECK ((text <> '') = (text_status = 'extracted')),
    created_at     timestamptz NOT NULL DEFAULT now(),
    attached_at    timestamptz, -- last; a file that was attached goes with its last attachment
    deleted_at     timestamptz
);

CREATE INDEX files_user_id_idx ON files (user_id) WHERE deleted_at IS NULL;
CREATE INDEX files_created_at_idx ON files (created_at) WHERE deleted_at IS NULL;
CREATE INDEX files_attached_at_idx ON files (attached_at) WHERE attached_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX files_doomed_idx ON files (id) WHERE deleted_at IS NOT NULL OR user_id IS NULL;

CREATE TABLE attachments (
    id         uuid PRIMARY KEY,
    message_id uuid NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    file_id    uuid NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    seq        bigint GENERATED ALWAYS AS IDENTITY, -- order within a message
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (message_id, file_id)
);

CREATE INDEX attachments_file_id_idx ON attachments (file_id);

-- De-identified facts about a patient. A conversation has at most one context,
-- which goes with it.
CREATE TABLE clinical_contexts (
    id              uuid PRIMARY KEY,
    user_id         uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    conversation_id uuid REFERENCES conversations (id) ON DELETE CASCADE,
    facts           jsonb NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX clinical_contexts_conversation_id_key ON clinical_contexts (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX clinical_contexts_user_id_idx ON clinical_contexts (user_id, updated_at DESC, id DESC);

CREATE TABLE clinical_presets (
    id          uuid PRIMARY KEY,
    user_id     uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name        text NOT NULL,
    description text NOT NULL DEFAULT '',
    facts       jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX clinical_presets_name_key ON clinical_presets (user_id, lower(name));

-- A report keeps its own copy of what it is about: the answer may be gone
-- before somebody looks.
CREATE TABLE citation_reports (
    id          uuid PRIMARY KEY,
    citation_id uuid REFERENCES citations (id) ON DELETE SET NULL,
    user_id     uuid REFERENCES users (id) ON DELETE SET NULL,
    document_id uuid NOT NULL,
    title       text NOT NULL,
    generation  integer NOT NULL,
    page        integer NOT NULL,
    char_start  integer NOT NULL,
    char_end    integer NOT NULL,
    quote       text NOT NULL,
    reason      text NOT NULL CHECK (reason IN ('wrong_quote', 'wrong_source', 'irrelevant', 'outdated', 'other')),
    comment     text NOT NULL DEFAULT '',
    state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'resolved')),
    note        text NOT NULL DEFAULT '', -- of the administrator
    resolved_by uuid REFERENCES users (id) ON DELETE SET NULL,
    resolved_at timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (citation_id, user_id),
    CHECK ((state = 'resolved') = (resolved_at IS NOT NULL))
);

CREATE INDEX citation_reports_user_id_idx ON citation_reports (user_id);
CREATE INDEX citation_reports_resolved_by_idx ON citation_reports (resolved_by);
CREATE INDEX citation_reports_state_idx ON citation_reports (state, created_at DESC, id DESC);

CREATE TABLE settings (
    name       text PRIMARY KEY,
    value      jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX conversations_updated_at_idx ON conversations (updated_at);
