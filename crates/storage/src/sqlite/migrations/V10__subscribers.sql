-- Receivers that subscribe to a project, and steps that say which of them they tell.

CREATE TABLE subscriptions (
    org_id          TEXT    NOT NULL,
    project         TEXT    NOT NULL,
    subscription_id BLOB    NOT NULL,
    url             TEXT    NOT NULL,
    events          TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (org_id, project, subscription_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX subscriptions_by_url ON subscriptions (org_id, project, url);

-- What projects change about their agents: what was written, what that means, and for which agent.
CREATE TABLE project_agents (
    org_id     TEXT    NOT NULL,
    project_id TEXT    NOT NULL,
    overlay    TEXT    NOT NULL,
    document   TEXT    NOT NULL,
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, project_id)
) STRICT;

-- The key of a step gains whom it tells; nobody in particular is an empty one. SQLite changes no key in
-- place, so both tables are made anew.
CREATE TABLE steps_with_targets (
    org_id     TEXT    NOT NULL,
    session_id BLOB    NOT NULL,
    kind       TEXT    NOT NULL,
    target     BLOB    NOT NULL DEFAULT x'',
    lane       TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state = 'waiting' OR state = 'owed' OR state = 'leased' OR state = 'done'
        OR state = 'skipped' OR state = 'parked'),
    -- When it is due; under a lease, when the lease runs out. Absent when nothing is to be done.
    due_at     INTEGER,
    node       TEXT,
    claimed_at INTEGER,
    attempt    INTEGER NOT NULL,
    failures   INTEGER NOT NULL,
    owed_at    INTEGER NOT NULL,
    settled_at INTEGER,
    reason     TEXT,
    PRIMARY KEY (org_id, session_id, kind, target)
) STRICT;
INSERT INTO steps_with_targets
    (org_id, session_id, kind, lane, state, due_at, node, claimed_at, attempt, failures, owed_at, settled_at, reason)
    SELECT org_id, session_id, kind, lane, state, due_at, node, claimed_at, attempt, failures, owed_at, settled_at, reason
    FROM steps ORDER BY rowid;
DROP TABLE steps;
ALTER TABLE steps_with_targets RENAME TO steps;
CREATE INDEX steps_due ON steps (org_id, lane, due_at, owed_at) WHERE due_at IS NOT NULL;
CREATE INDEX steps_parked ON steps (org_id, owed_at) WHERE state = 'parked';
CREATE INDEX steps_by_time ON steps (org_id, owed_at);
-- What is still to be told to a subscriber: settled when the subscription goes.
CREATE INDEX steps_to_subscribers ON steps (org_id, target)
    WHERE target <> x'' AND state <> 'done' AND state <> 'skipped';

CREATE TABLE step_attempts_with_targets (
    org_id      TEXT    NOT NULL,
    session_id  BLOB    NOT NULL,
    kind        TEXT    NOT NULL,
    target      BLOB    NOT NULL DEFAULT x'',
    number      INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    outcome     TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    PRIMARY KEY (org_id, session_id, kind, target, number)
) STRICT, WITHOUT ROWID;
INSERT INTO step_attempts_with_targets
    (org_id, session_id, kind, number, started_at, finished_at, outcome, detail)
    SELECT org_id, session_id, kind, number, started_at, finished_at, outcome, detail FROM step_attempts;
DROP TABLE step_attempts;
ALTER TABLE step_attempts_with_targets RENAME TO step_attempts;
