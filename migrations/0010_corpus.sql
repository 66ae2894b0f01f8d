-- What caches ask: has the corpus changed, and whose session may have ended?

-- The version of the corpus is the sum of these rows. Each transaction that
-- changes what can be found adds one to a row chosen by the document's id, as
-- its last act, so that two rarely wait for one another.
CREATE TABLE corpus_version (
    stripe  integer PRIMARY KEY,
    changes bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

INSERT INTO corpus_version (stripe) SELECT generate_series(0, 15);

-- The title under which a generation was embedded. A document's title may be
-- edited afterwards; its vectors are found by this one. NULL is the document's.
ALTER TABLE generations ADD COLUMN title text;

-- A refresh brings a document's points in line with its edited fields.
ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('index', 'delete', 'refresh'));

-- Whoever caches sessions is told, with the commit, whose to look up again: a
-- session was revoked or removed, or its user has changed in more than the time
-- of a login.
CREATE FUNCTION tell_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('voiceassist_sessions', CASE TG_TABLE_NAME WHEN 'users' THEN to_jsonb(OLD) ->> 'id' ELSE to_jsonb(OLD) ->> 'user_id' END);
    RETURN NULL;
END $$;

CREATE TRIGGER sessions_revoked AFTER UPDATE OF revoked_at ON sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS DISTINCT FROM NEW.revoked_at)
    EXECUTE FUNCTION tell_sessions();

CREATE TRIGGER sessions_removed AFTER DELETE ON sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND OLD.expires_at > now())
    EXECUTE FUNCTION tell_sessions();

CREATE TRIGGER users_changed AFTER UPDATE ON users
    FOR EACH ROW WHEN (to_jsonb(OLD) - '{last_login_at,updated_at}'::text[] <> to_jsonb(NEW) - '{last_login_at,updated_at}'::text[])
    EXECUTE FUNCTION tell_sessions();
