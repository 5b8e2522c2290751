-- What an end leaves behind, and what a purge looks for.

-- A purge forgets the text messages of its session.
CREATE INDEX inbox_by_session ON inbox (org_id, session_id) WHERE session_id IS NOT NULL;
