-- What stands beside conversations: agents that are written through APIs, places on the web where
-- they are talked to, and what can be searched.

-- The document an agent was written with, in the words of the API it came through, beside the
-- configuration that follows from it. Agents of the configuration file have none.
ALTER TABLE agents ADD COLUMN document TEXT;
-- Deleted agents stay, for the sessions that were opened with them. All versions are marked alike.
ALTER TABLE agents ADD COLUMN deleted_at INTEGER;

ALTER TABLE activity ADD COLUMN agent_id TEXT;

CREATE TABLE integrations (
    org_id         TEXT    NOT NULL,
    integration_id TEXT    NOT NULL,
    agent_id       TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    enabled        INTEGER NOT NULL,
    origins        TEXT    NOT NULL,
    document       TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (org_id, integration_id)
) STRICT;

-- Looked up before the organization is known, like credentials.
CREATE TABLE integration_tokens (
    hash           BLOB    NOT NULL PRIMARY KEY,
    org_id         TEXT    NOT NULL,
    integration_id TEXT    NOT NULL,
    token_id       TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    hint           TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER,
    last_used_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX integration_tokens_by_name ON integration_tokens (org_id, integration_id, name);

-- Ended conversations as they are searched, written by a step and never by an end.
CREATE TABLE results (
    -- What the text index knows a row by. Nothing else refers to it.
    number     INTEGER PRIMARY KEY,
    org_id     TEXT    NOT NULL,
    session_id BLOB    NOT NULL,
    dialect    TEXT    NOT NULL,
    agent_id   TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    opened_at  INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    active_ms  INTEGER NOT NULL,
    endpoint   TEXT    NOT NULL,
    data       TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX results_by_session ON results (org_id, session_id);
CREATE INDEX results_by_end ON results (org_id, dialect, ended_at, session_id);
CREATE INDEX results_by_agent ON results (org_id, dialect, agent_id, ended_at);
CREATE INDEX results_by_endpoint ON results (org_id, dialect, endpoint, ended_at);

-- The words of each conversation, and the organization as a word of its own, which every search asks
-- for. The words are kept beside the index, so that a purge takes them out of both.
CREATE VIRTUAL TABLE result_words USING fts5 (
    org, words, tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO result_words (result_words, rank) VALUES ('secure-delete', 1);
