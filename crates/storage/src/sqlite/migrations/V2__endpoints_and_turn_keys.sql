-- Sessions that belong to an endpoint of a channel, turns that can be asked for again, and a bound on
-- how many sessions an organization holds open.

ALTER TABLE sessions ADD COLUMN channel TEXT;
ALTER TABLE sessions ADD COLUMN endpoint TEXT;

-- One live session per endpoint, whoever opens it and however many try at once.
CREATE UNIQUE INDEX sessions_by_endpoint ON sessions (org_id, dialect, channel, endpoint)
    WHERE state = 'active' AND endpoint IS NOT NULL;

-- The order of the latest activity, for sessions of channels alone: a turn of any other moves no index.
-- What filters look at stands in it, so that counting reads no rows.
CREATE INDEX sessions_by_activity
    ON sessions (org_id, dialect, last_activity DESC, session_id, state, channel, agent_id)
    WHERE channel IS NOT NULL;
CREATE INDEX sessions_active_by_activity
    ON sessions (org_id, dialect, last_activity DESC, session_id, channel, agent_id)
    WHERE channel IS NOT NULL AND state = 'active';

-- The turns that were asked for under a key, and where their messages stand.
CREATE TABLE turn_keys (
    org_id     TEXT    NOT NULL,
    session_id BLOB    NOT NULL,
    key        TEXT    NOT NULL,
    turn       INTEGER NOT NULL,
    from_seq   INTEGER NOT NULL,
    messages   INTEGER NOT NULL,
    PRIMARY KEY (org_id, session_id, key)
) STRICT, WITHOUT ROWID;

-- How many sessions may be open at a time; 0 for any number.
ALTER TABLE organizations ADD COLUMN open_max INTEGER NOT NULL DEFAULT 0;
