-- Deleting users: they are shut out at once, and their rows go at erase_at with
-- everything that hangs on them. The audit log keeps their ids.

ALTER TABLE users
    ADD COLUMN erase_at timestamptz,
    ADD CHECK (erase_at IS NULL OR NOT is_active);

CREATE INDEX users_erase_at_idx ON users (erase_at) WHERE erase_at IS NOT NULL;
CREATE INDEX users_created_at_idx ON users (created_at DESC, id DESC);
CREATE INDEX users_admins_idx ON users (created_at, id) WHERE role = 'admin' AND is_active;

-- For the figures of users, and so that erasing one looks at no other's rows.
CREATE INDEX documents_uploaded_by_idx ON documents (uploaded_by) WHERE uploaded_by IS NOT NULL;

-- For figures by day.
CREATE INDEX conversations_created_at_idx ON conversations (created_at);
CREATE INDEX messages_created_at_idx ON messages (created_at) INCLUDE (role, conversation_id);
CREATE INDEX sessions_last_used_at_idx ON sessions (last_used_at) INCLUDE (user_id);
CREATE INDEX audit_entries_logins_idx ON audit_entries (at) INCLUDE (user_id) WHERE action = 'auth.login' AND success;
