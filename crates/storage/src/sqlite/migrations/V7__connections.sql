-- The connection that a session lives by: which one has it or had it last, who may take it up again,
-- which process serves it, how many milliseconds the session lives without, and since when it is.
ALTER TABLE sessions ADD COLUMN connection_id TEXT;
ALTER TABLE sessions ADD COLUMN connection_holder TEXT;
ALTER TABLE sessions ADD COLUMN connection_node TEXT;
ALTER TABLE sessions ADD COLUMN connection_grace INTEGER;
ALTER TABLE sessions ADD COLUMN connection_lost_at INTEGER;

-- Found when a process is gone: the sessions whose connections went with it.
CREATE INDEX sessions_connected ON sessions (org_id, connection_node)
    WHERE connection_node IS NOT NULL AND connection_lost_at IS NULL AND state = 'active';
