-- Lanes whose jobs are not published while paused_at is set.
CREATE TABLE lanes (
    name      text PRIMARY KEY,
    paused_at timestamptz
);
