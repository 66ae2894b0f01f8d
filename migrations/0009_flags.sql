-- Feature flags. What is JSON in them is kept as it was written: nothing asks
-- the database about it.

CREATE TABLE feature_flags (
    name               text PRIMARY KEY,
    description        text NOT NULL DEFAULT '',
    flag_type          text NOT NULL CHECK (flag_type IN ('boolean', 'string', 'number', 'json', 'variant')),
    enabled            boolean NOT NULL,
    rollout_percentage double precision NOT NULL CHECK (rollout_percentage BETWEEN 0 AND 100),
    value              json,
    default_value      json,
    variants           json NOT NULL DEFAULT '[]',
    targeting_rules    json NOT NULL DEFAULT '[]',
    environment        text NOT NULL DEFAULT 'all',
    archived           boolean NOT NULL DEFAULT false,
    built_in           boolean NOT NULL DEFAULT false,
    metadata           json NOT NULL DEFAULT '{}',
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    CHECK (NOT (built_in AND archived))
);

-- One row that every change of a flag counts up, so that processes can ask
-- cheaply whether there was one. Changes of flags wait for one another at it.
CREATE TABLE feature_flags_version (
    single  boolean PRIMARY KEY DEFAULT true CHECK (single),
    version bigint NOT NULL DEFAULT 1
);

INSERT INTO feature_flags_version DEFAULT VALUES;

CREATE FUNCTION count_feature_flags_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE feature_flags_version SET version = version + 1;
    RETURN NULL;
END $$;

INSERT INTO feature_flags (name, description, flag_type, enabled, rollout_percentage, built_in) VALUES
    ('voice_mode', 'Voice input: recordings and their transcripts. Off: the voice routes answer that it is switched off.', 'boolean', true, 100, true),
    ('registration', 'People may make accounts for themselves, as far as REGISTRATION lets them. Off: nobody may. It is on for everybody or for nobody: below 100 % it is off.', 'boolean', true, 100, true),
    ('model_answers', 'Answers are written by the language model, if one is configured. Off: they quote the library word for word.', 'boolean', true, 100, true),
    ('outside_models', 'Texts may be sent to the configured models: questions and their sources for answers, questions and passages for the search by meaning. Off: nothing is sent; searches go by words, answers quote. Documents are sent only while it is on for everybody (at 100 %); those indexed meanwhile are found by words alone until they are indexed again.', 'boolean', true, 100, true);

CREATE TRIGGER feature_flags_changed
    AFTER INSERT OR UPDATE OR DELETE ON feature_flags
    FOR EACH STATEMENT EXECUTE FUNCTION count_feature_flags_version();
