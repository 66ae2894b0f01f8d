-- Conversations, their messages, and the citations that prove the answers.

CREATE TABLE conversations (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title      text NOT NULL DEFAULT '',
    archived   boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX conversations_user_id_idx ON conversations (user_id, updated_at DESC, id DESC);

CREATE TABLE messages (
    id                uuid PRIMARY KEY,
    conversation_id   uuid NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    branch_id         text NOT NULL DEFAULT 'main',
    parent_id         uuid REFERENCES messages (id) ON DELETE SET NULL,
    client_message_id text,
    role              text NOT NULL CHECK (role IN ('user', 'assistant', 'system')),
    content           text NOT NULL,
    status            text NOT NULL CHECK (status IN ('streaming', 'complete', 'cancelled', 'failed')),
    model             text NOT NULL DEFAULT '',
    tokens            integer NOT NULL DEFAULT 0,
    seq               bigint GENERATED ALWAYS AS IDENTITY, -- order within a conversation
    created_at        timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX messages_conversation_id_idx ON messages (conversation_id, branch_id, seq);
CREATE INDEX messages_parent_id_idx ON messages (parent_id);

-- The same client_message_id is stored, and so answered, once.
CREATE UNIQUE INDEX messages_client_message_id_key
    ON messages (conversation_id, branch_id, client_message_id) WHERE client_message_id IS NOT NULL;

-- A citation carries its own copy of what it proves and names the page it was
-- proved against; it outlives the document.
CREATE TABLE citations (
    id          uuid PRIMARY KEY,
    message_id  uuid NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    index       integer NOT NULL CHECK (index > 0),
    document_id uuid NOT NULL,
    passage_id  uuid NOT NULL,
    generation  integer NOT NULL,
    page        integer NOT NULL CHECK (page > 0),
    char_start  integer NOT NULL CHECK (char_start >= 0),
    char_end    integer NOT NULL CHECK (char_end > char_start),
    quote       text NOT NULL CHECK (char_length(quote) = char_end - char_start),
    section     text NOT NULL DEFAULT '',
    title       text NOT NULL DEFAULT '',
    source_type text NOT NULL DEFAULT '',
    authors     text[] NOT NULL DEFAULT '{}',
    journal     text NOT NULL DEFAULT '',
    year        integer NOT NULL DEFAULT 0,
    doi         text NOT NULL DEFAULT '',
    pubmed_id   text NOT NULL DEFAULT '',
    url         text NOT NULL DEFAULT '',
    score       double precision NOT NULL DEFAULT 0
);

CREATE INDEX citations_message_id_idx ON citations (message_id, index);
