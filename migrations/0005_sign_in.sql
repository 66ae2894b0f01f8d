-- What protects signing in, and the other ways to it: failures and locks,
-- reset links, invitations, second factors and API keys.

-- The end of a session that no refresh postpones.
ALTER TABLE sessions ADD COLUMN ends_at timestamptz NOT NULL DEFAULT now() + interval '30 days';

CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);
CREATE INDEX refresh_tokens_expires_at_idx ON refresh_tokens (expires_at);

-- Failures are counted by account, by network, and by both together. An address
-- that nobody has is an account too, so that nothing tells it from others.
CREATE TABLE sign_in_failures (
    subject      text PRIMARY KEY,
    failures     integer NOT NULL,               -- since the last success or lock
    locks        integer NOT NULL DEFAULT 0,     -- since the last success
    last_at      timestamptz NOT NULL DEFAULT now(),
    retry_at     timestamptz NOT NULL DEFAULT now(),
    locked_until timestamptz
);

CREATE INDEX sign_in_failures_last_at_idx ON sign_in_failures (last_at);

-- Reset links are kept as SHA-256 digests. One that nobody's address asked for
-- is kept as well, so that asking takes as long.
CREATE TABLE password_resets (
    digest     bytea PRIMARY KEY CHECK (length(digest) = 32),
    user_id    uuid REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

CREATE INDEX password_resets_user_id_idx ON password_resets (user_id, created_at);
CREATE INDEX password_resets_expires_at_idx ON password_resets (expires_at);

-- An address has at most one open invitation; an accepted one is removed.
CREATE TABLE invitations (
    email      text PRIMARY KEY CHECK (email = lower(email)),
    digest     bytea NOT NULL CHECK (length(digest) = 32),
    full_name  text NOT NULL DEFAULT '',
    role       text NOT NULL CHECK (role IN ('user', 'viewer', 'admin')),
    invited_by uuid REFERENCES users (id) ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX invitations_digest_key ON invitations (digest);
CREATE INDEX invitations_invited_by_idx ON invitations (invited_by);

-- The secret is sealed with a key that this database does not hold.
CREATE TABLE second_factors (
    user_id    uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    enabled_at timestamptz,                      -- NULL while it is being set up
    last_step  bigint NOT NULL DEFAULT 0         -- of the code last used; older ones are refused
);

CREATE TABLE backup_codes (
    user_id uuid NOT NULL REFERENCES second_factors (user_id) ON DELETE CASCADE,
    digest  bytea NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (user_id, digest)
);

CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         text NOT NULL,
    prefix       text NOT NULL,                  -- what lists show of the key
    digest       bytea NOT NULL CHECK (length(digest) = 32),
    scopes       text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'write', 'admin'] AND cardinality(scopes) > 0),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    last_used_at timestamptz                     -- to the minute
);

CREATE UNIQUE INDEX api_keys_digest_key ON api_keys (digest);
CREATE INDEX api_keys_user_id_idx ON api_keys (user_id, created_at);
