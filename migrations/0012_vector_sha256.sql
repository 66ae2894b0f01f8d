-- Which vector a passage has: that of the text with this digest, under the
-- profile of its generation. NULL is a passage from before, or without one.
ALTER TABLE passages ADD COLUMN vector_sha256 bytea;
