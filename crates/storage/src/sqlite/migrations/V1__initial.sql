-- The first schema. Every key leads with the organization; times are milliseconds since the epoch;
-- money is micro-credits. Tables with wide rows keep SQLite's own row numbers, which nothing refers to,
-- so that their trees stay shallow; narrow ones are stored in their key's order.

CREATE TABLE organizations (
    org_id  TEXT    NOT NULL PRIMARY KEY,
    name    TEXT    NOT NULL,
    metered INTEGER NOT NULL,
    grace   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE agents (
    org_id     TEXT    NOT NULL,
    agent_id   TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    config     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, agent_id, version)
) STRICT;

-- The one table that is looked up before the organization is known: that is what it is for.
CREATE TABLE credentials (
    hash       BLOB    NOT NULL PRIMARY KEY,
    org_id     TEXT    NOT NULL,
    key_id     TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    configured INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX credentials_by_org ON credentials (org_id, key_id);

CREATE TABLE sessions (
    org_id         TEXT    NOT NULL,
    session_id     BLOB    NOT NULL,
    dialect        TEXT    NOT NULL,
    dialect_id     TEXT    NOT NULL,
    agent_id       TEXT    NOT NULL,
    agent_version  INTEGER NOT NULL,
    person         TEXT,
    profile        TEXT    NOT NULL,
    context        TEXT    NOT NULL,
    opened_at      INTEGER NOT NULL,
    last_activity  INTEGER NOT NULL,
    last_seen      INTEGER NOT NULL,
    user_messages  INTEGER NOT NULL,
    total_messages INTEGER NOT NULL,
    input_tokens   INTEGER NOT NULL,
    output_tokens  INTEGER NOT NULL,
    prompt_tokens  INTEGER NOT NULL,
    model_calls    INTEGER NOT NULL,
    estimated      INTEGER NOT NULL,
    held           INTEGER NOT NULL,
    messages       INTEGER NOT NULL,
    turns          INTEGER NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('active', 'finalizing', 'final')),
    turn_number    INTEGER,
    turn_node      TEXT,
    turn_until     INTEGER,
    ended_at       INTEGER,
    reason         TEXT,
    deadline_kind  TEXT,
    deadline_at    INTEGER,
    cost           INTEGER,
    finalized_at   INTEGER,
    -- The deadline index: early at worst, and corrected when it comes due.
    due_at         INTEGER,
    PRIMARY KEY (org_id, session_id)
) STRICT;
CREATE UNIQUE INDEX sessions_by_name ON sessions (org_id, dialect_id, dialect);
CREATE INDEX sessions_due ON sessions (org_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX sessions_in_turn ON sessions (org_id, turn_node) WHERE turn_number IS NOT NULL;
CREATE INDEX sessions_active ON sessions (org_id, dialect, session_id) WHERE state = 'active';
CREATE INDEX sessions_finalizing ON sessions (org_id, session_id) WHERE state = 'finalizing';
CREATE INDEX sessions_by_person ON sessions (org_id, person, session_id) WHERE person IS NOT NULL;

CREATE TABLE messages (
    org_id       TEXT    NOT NULL,
    session_id   BLOB    NOT NULL,
    seq          INTEGER NOT NULL,
    turn         INTEGER NOT NULL,
    role         TEXT    NOT NULL,
    content      TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    tokens       INTEGER,
    tool_calls   TEXT,
    tool_call_id TEXT,
    cut          INTEGER NOT NULL,
    PRIMARY KEY (org_id, session_id, seq)
) STRICT;

CREATE TABLE ledger (
    org_id         TEXT    NOT NULL,
    transaction_id TEXT    NOT NULL,
    account        TEXT    NOT NULL,
    amount         INTEGER NOT NULL,
    kind           TEXT    NOT NULL,
    session_id     BLOB,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (org_id, transaction_id, account)
) STRICT;
CREATE INDEX ledger_by_time ON ledger (org_id, created_at, transaction_id);

CREATE TRIGGER ledger_is_append_only_on_update BEFORE UPDATE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_is_append_only_on_delete BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- The running sum of each account, kept in the commits that change it.
CREATE TABLE balances (
    org_id  TEXT    NOT NULL,
    account TEXT    NOT NULL,
    amount  INTEGER NOT NULL,
    PRIMARY KEY (org_id, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE steps (
    org_id     TEXT    NOT NULL,
    session_id BLOB    NOT NULL,
    kind       TEXT    NOT NULL,
    lane       TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'owed', 'leased', 'done', 'skipped', 'parked')),
    -- When it is due; under a lease, when the lease runs out. Absent when nothing is to be done.
    due_at     INTEGER,
    node       TEXT,
    claimed_at INTEGER,
    attempt    INTEGER NOT NULL,
    failures   INTEGER NOT NULL,
    owed_at    INTEGER NOT NULL,
    settled_at INTEGER,
    reason     TEXT,
    PRIMARY KEY (org_id, session_id, kind)
) STRICT;
CREATE INDEX steps_due ON steps (org_id, lane, due_at, owed_at) WHERE due_at IS NOT NULL;
CREATE INDEX steps_parked ON steps (org_id, owed_at) WHERE state = 'parked';
CREATE INDEX steps_by_time ON steps (org_id, owed_at);

CREATE TABLE step_attempts (
    org_id      TEXT    NOT NULL,
    session_id  BLOB    NOT NULL,
    kind        TEXT    NOT NULL,
    number      INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    outcome     TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    PRIMARY KEY (org_id, session_id, kind, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE analyses (
    org_id     TEXT    NOT NULL,
    session_id BLOB    NOT NULL,
    form       TEXT    NOT NULL,
    result     TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (org_id, session_id, form)
) STRICT;

CREATE TABLE deliveries (
    org_id      TEXT    NOT NULL,
    delivery_id TEXT    NOT NULL,
    session_id  BLOB    NOT NULL,
    event       TEXT    NOT NULL,
    url         TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    accepted_at INTEGER,
    attempts    INTEGER NOT NULL,
    PRIMARY KEY (org_id, delivery_id)
) STRICT;
CREATE INDEX deliveries_by_time ON deliveries (org_id, created_at);
CREATE INDEX deliveries_by_session ON deliveries (org_id, session_id);

CREATE TABLE delivery_attempts (
    org_id      TEXT    NOT NULL,
    delivery_id TEXT    NOT NULL,
    number      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    status      INTEGER,
    error       TEXT,
    response    TEXT    NOT NULL,
    PRIMARY KEY (org_id, delivery_id, number)
) STRICT;

CREATE TABLE episodes (
    org_id     TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    session_id BLOB    NOT NULL,
    at         INTEGER NOT NULL,
    text       TEXT    NOT NULL,
    PRIMARY KEY (org_id, scope, session_id)
) STRICT;
CREATE INDEX episodes_by_time ON episodes (org_id, scope, at);

CREATE TABLE activity (
    org_id      TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    activity_id TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    session_id  BLOB,
    by_key      TEXT,
    detail      TEXT    NOT NULL,
    PRIMARY KEY (org_id, at, activity_id)
) STRICT;
CREATE INDEX activity_by_session ON activity (org_id, session_id, at) WHERE session_id IS NOT NULL;
