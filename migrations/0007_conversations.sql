-- Folders, branches, metadata of messages, and links that share a conversation.

CREATE TABLE folders (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    parent_id  uuid REFERENCES folders (id) ON DELETE CASCADE CHECK (parent_id <> id),
    name       text NOT NULL CHECK (name <> ''),
    color      text NOT NULL DEFAULT '',
    icon       text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Names differ within a folder, whatever their case.
CREATE UNIQUE INDEX folders_name_key ON folders (user_id, parent_id, lower(name)) NULLS NOT DISTINCT;
CREATE INDEX folders_parent_id_idx ON folders (parent_id);

-- message_count is kept by the transactions that add and remove messages.
ALTER TABLE conversations
    ADD COLUMN folder_id uuid REFERENCES folders (id) ON DELETE SET NULL,
    ADD COLUMN message_count integer NOT NULL DEFAULT 0;

UPDATE conversations c
SET message_count = (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id);

CREATE INDEX conversations_folder_id_idx ON conversations (folder_id, updated_at DESC, id DESC) WHERE folder_id IS NOT NULL;

-- What a list of conversations shows of the last message, and what a branch
-- sees of several, is read in order.
CREATE INDEX messages_order_idx ON messages (conversation_id, seq);

ALTER TABLE messages ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}';

-- A branch sees the messages of the branch that it was forked from up to
-- fork_seq, and then its own. The branch main is forked from nothing and has no
-- row. fork_seq stays when the message that it names is deleted.
CREATE TABLE branches (
    conversation_id   uuid NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    id                text NOT NULL CHECK (id <> 'main'),
    parent_branch_id  text NOT NULL,
    parent_message_id uuid REFERENCES messages (id) ON DELETE SET NULL,
    fork_seq          bigint NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (conversation_id, id)
);

CREATE INDEX branches_parent_message_id_idx ON branches (parent_message_id);

-- Until now any name was a branch of its own, which saw nothing of main.
INSERT INTO branches (conversation_id, id, parent_branch_id, fork_seq, created_at)
SELECT conversation_id, branch_id, 'main', 0, min(created_at)
FROM messages
WHERE branch_id <> 'main'
GROUP BY conversation_id, branch_id;

-- A link to a conversation. Its token is kept as a SHA-256 digest.
CREATE TABLE shares (
    id              uuid PRIMARY KEY,
    conversation_id uuid NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    digest          bytea NOT NULL CHECK (length(digest) = 32),
    password_hash   text NOT NULL DEFAULT '', -- '' is no password
    allow_anonymous boolean NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    revoked_at      timestamptz
);

CREATE UNIQUE INDEX shares_digest_key ON shares (digest);
CREATE INDEX shares_conversation_id_idx ON shares (conversation_id, created_at DESC);
CREATE INDEX shares_expires_at_idx ON shares (expires_at);
