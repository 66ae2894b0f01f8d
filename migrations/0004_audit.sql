-- The audit log. Rows are added by the transactions that they tell of; a
-- chainer gives the committed ones their place in the chain afterwards, so that
-- no request waits for another.

CREATE TABLE audit_entries (
    id            uuid PRIMARY KEY,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    level         text NOT NULL CHECK (level IN ('info', 'warning', 'error')),
    action        text NOT NULL,
    user_id       uuid, -- who acted; NULL is the program, or somebody unknown
    resource_type text NOT NULL DEFAULT '',
    resource_id   text NOT NULL DEFAULT '',
    success       boolean NOT NULL DEFAULT true,
    details       jsonb NOT NULL DEFAULT '{}',
    request_id    text NOT NULL DEFAULT '',
    trace_id      text NOT NULL DEFAULT ''
);

CREATE INDEX audit_entries_at_idx ON audit_entries (at DESC, id DESC);
CREATE INDEX audit_entries_user_id_idx ON audit_entries (user_id, at DESC);
CREATE INDEX audit_entries_resource_idx ON audit_entries (resource_type, resource_id, at DESC);

-- What is personal about an entry stands beside the chain and can be erased.
CREATE TABLE audit_people (
    entry_id uuid PRIMARY KEY REFERENCES audit_entries (id) ON DELETE CASCADE,
    email    text NOT NULL DEFAULT '',
    ip       text NOT NULL DEFAULT ''
);
