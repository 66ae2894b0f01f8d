-- Pages that end or overrun their reader, by content as the pages are: whoever
-- uploads the same bytes, and every later attempt, knows them already.

CREATE TABLE bad_pages (
    sha256   text NOT NULL,
    engine   text NOT NULL,
    number   integer NOT NULL CHECK (number > 0),
    reason   text NOT NULL CHECK (reason IN ('crashed', 'too_slow', 'too_much_memory', 'too_much_text', 'damaged')),
    found_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sha256, engine, number)
);

-- What is missing from the active generation: [{"page": 7, "reason": "crashed"}].
ALTER TABLE documents ADD COLUMN bad_pages jsonb NOT NULL DEFAULT '[]';
