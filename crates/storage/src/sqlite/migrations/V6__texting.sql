-- Text messages: accounts at carriers, the numbers people write to, and messages until they are answered.

CREATE TABLE carriers (
    org_id     TEXT    NOT NULL,
    carrier_id TEXT    NOT NULL,
    account    TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    -- Sealed by whoever writes it.
    secret     TEXT    NOT NULL,
    document   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, carrier_id)
) STRICT;
CREATE UNIQUE INDEX carriers_by_account ON carriers (org_id, account);
-- Looked up before the organization is known, like credentials: a message names its carrier alone.
CREATE INDEX carriers_by_id ON carriers (carrier_id);

-- A number is unique within its organization. Another may have it too, for no statement spans two: which
-- of them a message is for is decided by the account that it came through, and signed for.
CREATE TABLE phone_numbers (
    org_id     TEXT    NOT NULL,
    number_id  TEXT    NOT NULL,
    carrier_id TEXT    NOT NULL,
    number     TEXT    NOT NULL,
    agent_id   TEXT,
    document   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, number_id)
) STRICT;
CREATE UNIQUE INDEX phone_numbers_by_number ON phone_numbers (org_id, number);

CREATE TABLE inbox (
    org_id      TEXT    NOT NULL,
    carrier_id  TEXT    NOT NULL,
    message_id  TEXT    NOT NULL,
    -- Messages of one line are taken in the order of their places, one at a time.
    line        TEXT    NOT NULL,
    place       INTEGER NOT NULL,
    sender      TEXT    NOT NULL,
    recipient   TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    wish        TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    -- When there is something to do: the message is to be taken, or its lease runs out.
    due_at      INTEGER,
    node        TEXT,
    attempt     INTEGER NOT NULL DEFAULT 0,
    failures    INTEGER NOT NULL DEFAULT 0,
    session_id  BLOB,
    reply       TEXT,
    sent        INTEGER NOT NULL DEFAULT 0,
    settled_at  INTEGER,
    detail      TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (org_id, carrier_id, message_id)
) STRICT;
CREATE UNIQUE INDEX inbox_by_line ON inbox (org_id, line, place);
CREATE INDEX inbox_due ON inbox (org_id, carrier_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX inbox_open ON inbox (org_id, line, place) WHERE settled_at IS NULL;
CREATE INDEX inbox_parked ON inbox (org_id, settled_at) WHERE state = 'parked';
CREATE INDEX inbox_latest ON inbox (org_id, received_at);

-- The parts of answers that the carrier has accepted, and what it calls them.
CREATE TABLE inbox_sent (
    org_id     TEXT    NOT NULL,
    carrier_id TEXT    NOT NULL,
    message_id TEXT    NOT NULL,
    part       INTEGER NOT NULL,
    receipt    TEXT    NOT NULL,
    sent_at    INTEGER NOT NULL,
    PRIMARY KEY (org_id, carrier_id, message_id, part)
) STRICT, WITHOUT ROWID;
