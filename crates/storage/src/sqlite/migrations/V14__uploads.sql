-- Conversations on their way to a memory service. What was said is not among it: that is read from the
-- transcript, which no purge removes before the step that waits for this has settled.
CREATE TABLE uploads (
    org_id     TEXT    NOT NULL,
    session_id BLOB    NOT NULL,
    -- The lane: of one scope, one conversation is under way at a time, in the order of their ends.
    scope      TEXT    NOT NULL,
    ended_at   INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    -- When there is something to do: the upload is to be gone on with, or its lease runs out.
    due_at     INTEGER,
    node       TEXT,
    attempt    INTEGER NOT NULL DEFAULT 0,
    failures   INTEGER NOT NULL DEFAULT 0,
    confirmed  INTEGER NOT NULL DEFAULT 0,
    -- When the next message was sent, if it may have been accepted.
    sent_at    INTEGER,
    lost       INTEGER NOT NULL DEFAULT 0,
    queued_at  INTEGER NOT NULL,
    settled_at INTEGER,
    detail     TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (org_id, session_id)
) STRICT;
CREATE INDEX uploads_by_scope ON uploads (org_id, scope);
CREATE INDEX uploads_open ON uploads (org_id, scope, ended_at, session_id) WHERE settled_at IS NULL;
CREATE INDEX uploads_due ON uploads (org_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX uploads_parked ON uploads (org_id, settled_at) WHERE state = 'parked';
