-- What is known of people: entities and facts with their sources, beside the conversations they come from.

-- How many messages of a conversation have been put into the graph: absorbed in parts, each once.
ALTER TABLE episodes ADD COLUMN absorbed INTEGER NOT NULL DEFAULT 0;
-- What is older than its organization keeps is found by its age.
CREATE INDEX episodes_by_age ON episodes (org_id, at);

-- Who was forgotten, and when: what began before that is never remembered again.
CREATE TABLE memory_people (
    org_id       TEXT    NOT NULL,
    person       BLOB    NOT NULL,
    forgotten_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, person)
) STRICT, WITHOUT ROWID;

-- What one agent knows of one person: whose it is, the numbers that are free next, and what the words of
-- its text index are made with. When it goes, what is left of those words belongs to nobody.
CREATE TABLE memory_scopes (
    org_id   TEXT    NOT NULL,
    scope    TEXT    NOT NULL,
    person   BLOB    NOT NULL,
    salt     BLOB    NOT NULL,
    entities INTEGER NOT NULL,
    facts    INTEGER NOT NULL,
    PRIMARY KEY (org_id, scope)
) STRICT, WITHOUT ROWID;
CREATE INDEX memory_scopes_by_person ON memory_scopes (org_id, person);

CREATE TABLE entities (
    org_id       TEXT    NOT NULL,
    scope        TEXT    NOT NULL,
    entity       INTEGER NOT NULL,
    name         TEXT    NOT NULL,
    name_key     TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    hint         TEXT,
    mentioned_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, scope, entity)
) STRICT;
CREATE INDEX entities_by_name ON entities (org_id, scope, name_key);

CREATE TABLE facts (
    org_id       TEXT    NOT NULL,
    scope        TEXT    NOT NULL,
    fact         INTEGER NOT NULL,
    subject      INTEGER NOT NULL,
    relation     TEXT    NOT NULL,
    object       INTEGER NOT NULL,
    sentence     TEXT    NOT NULL,
    exclusive    INTEGER NOT NULL,
    -- When it was true in the world; and when we learned that it is, and that it is over.
    valid_from   INTEGER NOT NULL,
    valid_until  INTEGER,
    learned_at   INTEGER NOT NULL,
    unlearned_at INTEGER,
    told_at      INTEGER NOT NULL,
    PRIMARY KEY (org_id, scope, fact)
) STRICT;
CREATE INDEX facts_by_subject ON facts (org_id, scope, subject, object, relation);
CREATE INDEX facts_by_object ON facts (org_id, scope, object);
CREATE INDEX facts_exclusive ON facts (org_id, scope, subject, relation) WHERE exclusive = 1;
CREATE INDEX facts_by_time ON facts (org_id, scope, told_at, fact);

-- From which part of which conversation a fact is known.
CREATE TABLE fact_sources (
    org_id     TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    fact       INTEGER NOT NULL,
    session_id BLOB    NOT NULL,
    part       INTEGER NOT NULL,
    told_at    INTEGER NOT NULL,
    PRIMARY KEY (org_id, scope, fact, session_id, part)
) STRICT, WITHOUT ROWID;

CREATE INDEX fact_sources_by_session ON fact_sources (org_id, scope, session_id);

-- What a sentence is like, as numbers of the model of that name.
CREATE TABLE fact_vectors (
    org_id TEXT    NOT NULL,
    scope  TEXT    NOT NULL,
    fact   INTEGER NOT NULL,
    model  TEXT    NOT NULL,
    vector BLOB    NOT NULL,
    PRIMARY KEY (org_id, scope, fact)
) STRICT;

-- What the text index knows a fact or a conversation by. Nothing else refers to the number.
CREATE TABLE memory_documents (
    number     INTEGER PRIMARY KEY,
    org_id     TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    fact       INTEGER,
    session_id BLOB
) STRICT;
CREATE UNIQUE INDEX memory_documents_of_facts ON memory_documents (org_id, scope, fact) WHERE fact IS NOT NULL;
CREATE UNIQUE INDEX memory_documents_of_episodes ON memory_documents (org_id, scope, session_id)
    WHERE session_id IS NOT NULL;

-- The words of each, as digests that are made with the salt of their scope: a search finds nobody else's, and
-- nothing in the index can be read.
CREATE VIRTUAL TABLE memory_words USING fts5 (words, tokenize = 'ascii');
INSERT INTO memory_words (memory_words, rank) VALUES ('secure-delete', 1);
