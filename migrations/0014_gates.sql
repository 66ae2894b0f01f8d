-- Lanes take turns in the relay and can be paused; services outside are asked
-- through gates that all workers share.

-- A lane without a row is not paused.
CREATE TABLE lanes (
    name      text PRIMARY KEY,
    paused_at timestamptz
);

-- Where the relay left off in each queue, and how fast workers take from it.
CREATE TABLE queues (
    name      text PRIMARY KEY CHECK (name IN ('interactive', 'default', 'bulk', 'maintenance')),
    lane      text NOT NULL DEFAULT '',       -- that had the last turn
    waiting   integer NOT NULL DEFAULT 0,     -- published and not started, when the relay last looked
    rate      double precision NOT NULL DEFAULT 0, -- started per second, lately
    looked_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50); -- written many times a second

INSERT INTO queues (name) VALUES ('interactive'), ('default'), ('bulk'), ('maintenance');

-- A gate is open while shut_until is null. It is shut until that time, and
-- from then on one request at a time, the probe, may find out whether it opens.
CREATE TABLE gates (
    name        text PRIMARY KEY CHECK (name <> ''),
    shut_until  timestamptz,
    reason      text NOT NULL DEFAULT '' CHECK (reason IN ('', 'paced', 'failing')),
    failures    integer NOT NULL DEFAULT 0, -- in a row
    shuts       integer NOT NULL DEFAULT 0, -- for failures, in a row: each waits twice as long as the one before
    probe_until timestamptz,                -- a probe is under way, at the latest until then
    -- Buckets (GCRA): when all that was let in would have been let in, evenly
    -- at the limit of requests and of tokens; step is what the last one cost.
    requests_at timestamptz NOT NULL DEFAULT now(),
    tokens_at   timestamptz NOT NULL DEFAULT now(),
    step        interval NOT NULL DEFAULT '0',
    CHECK ((shut_until IS NULL) = (reason = '')),
    CHECK (shut_until IS NOT NULL OR probe_until IS NULL)
) WITH (fillfactor = 50);

INSERT INTO gates (name) VALUES ('embed');

-- The first of each lane, and of those at each gate, are found without reading the rest.
DROP INDEX jobs_relay_idx;
CREATE INDEX jobs_relay_idx ON jobs (queue, lane, gate, run_at, id) WHERE state = 'pending' AND published_at IS NULL;
