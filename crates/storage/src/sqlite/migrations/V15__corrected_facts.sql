-- Which facts somebody put in the place of others, with which credential, and when. They come from no
-- conversation.
CREATE TABLE fact_corrections (
    org_id     TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    fact       INTEGER NOT NULL,
    supersedes INTEGER NOT NULL,
    by_key     TEXT,
    at         INTEGER NOT NULL,
    PRIMARY KEY (org_id, scope, fact)
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_corrections_by_old ON fact_corrections (org_id, scope, supersedes);
