-- The audit log. Rows are added by the transactions that they tell of; a
-- chainer gives the committed ones their place in the chain afterwards, so that
-- no request waits for another. The triggers keep mistakes out, the chain shows
-- what somebody did who went around them.

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
    trace_id      text NOT NULL DEFAULT '',
    person        bytea, -- salted digest of its row in audit_people; NULL without one

    -- The place in the chain, all three NULL until the chainer has come by.
    seq           bigint UNIQUE CHECK (seq > 0),
    prev_hash     bytea,
    hash          bytea,
    CHECK ((seq IS NULL) = (prev_hash IS NULL) AND (seq IS NULL) = (hash IS NULL))
);

CREATE INDEX audit_entries_at_idx ON audit_entries (at DESC, id DESC);
CREATE INDEX audit_entries_user_id_idx ON audit_entries (user_id, at DESC);
CREATE INDEX audit_entries_action_idx ON audit_entries (action text_pattern_ops, at DESC);
CREATE INDEX audit_entries_resource_idx ON audit_entries (resource_type, resource_id, at DESC);
CREATE INDEX audit_entries_unchained_idx ON audit_entries (id) WHERE seq IS NULL;

-- What is personal about an entry stands beside the chain and can be erased.
-- Without the salt nobody can find out by trying whose digest the entry has.
CREATE TABLE audit_people (
    entry_id uuid PRIMARY KEY REFERENCES audit_entries (id) ON DELETE CASCADE,
    email    text NOT NULL DEFAULT '',
    ip       text NOT NULL DEFAULT '',
    salt     bytea, -- NULL: erased
    CHECK (salt IS NOT NULL OR email = '' AND ip = '')
);

CREATE INDEX audit_people_email_idx ON audit_people (email) WHERE email <> '';

-- One row: where the chain ends, and where it begins since retention took what
-- came before. Chainers take turns by locking it.
CREATE TABLE audit_chain (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    head_seq    bigint NOT NULL DEFAULT 0,
    head_hash   bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    anchor_seq  bigint NOT NULL DEFAULT 0,
    anchor_hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    anchored_at timestamptz,
    CHECK (anchor_seq <= head_seq)
);

INSERT INTO audit_chain DEFAULT VALUES;

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

-- An entry begins outside the chain and changes once, when it gets its place.
CREATE TRIGGER audit_entries_insert BEFORE INSERT ON audit_entries
    FOR EACH ROW WHEN (NEW.seq IS NOT NULL)
    EXECUTE FUNCTION audit_refuse();

CREATE TRIGGER audit_entries_update BEFORE UPDATE ON audit_entries
    FOR EACH ROW WHEN (
        OLD.seq IS NOT NULL OR NEW.seq IS NULL
        OR (OLD.id, OLD.at, OLD.level, OLD.action, OLD.user_id, OLD.resource_type, OLD.resource_id,
            OLD.success, OLD.details, OLD.request_id, OLD.trace_id, OLD.person)
        IS DISTINCT FROM
           (NEW.id, NEW.at, NEW.level, NEW.action, NEW.user_id, NEW.resource_type, NEW.resource_id,
            NEW.success, NEW.details, NEW.request_id, NEW.trace_id, NEW.person)
    )
    EXECUTE FUNCTION audit_refuse();

-- Retention moves the anchor first; only what lies before it may go.
CREATE FUNCTION audit_refuse_above_anchor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM gone CROSS JOIN audit_chain c WHERE gone.seq IS NULL OR gone.seq > c.anchor_seq) THEN
        RAISE EXCEPTION 'the audit log is append-only: DELETE on % is refused', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER audit_entries_delete AFTER DELETE ON audit_entries
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_above_anchor();

CREATE TRIGGER audit_entries_truncate BEFORE TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- A person's row can only be blanked; it goes with its entry.
CREATE TRIGGER audit_people_update BEFORE UPDATE ON audit_people
    FOR EACH ROW WHEN (OLD.entry_id <> NEW.entry_id OR NEW.salt IS NOT NULL)
    EXECUTE FUNCTION audit_refuse();

CREATE FUNCTION audit_refuse_orphaning() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM gone JOIN audit_entries e ON e.id = gone.entry_id) THEN
        RAISE EXCEPTION 'the audit log is append-only: DELETE on % is refused', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER audit_people_delete AFTER DELETE ON audit_people
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_orphaning();

CREATE TRIGGER audit_people_truncate BEFORE TRUNCATE ON audit_people
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- Head and anchor only move forward.
CREATE TRIGGER audit_chain_update BEFORE UPDATE ON audit_chain
    FOR EACH ROW WHEN (NEW.head_seq < OLD.head_seq OR NEW.anchor_seq < OLD.anchor_seq)
    EXECUTE FUNCTION audit_refuse();

CREATE TRIGGER audit_chain_delete BEFORE DELETE ON audit_chain
    FOR EACH ROW EXECUTE FUNCTION audit_refuse();

CREATE TRIGGER audit_chain_truncate BEFORE TRUNCATE ON audit_chain
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
