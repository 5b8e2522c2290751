-- Projects: what sessions and keys belong to in APIs that have such.

CREATE TABLE projects (
    org_id     TEXT    NOT NULL,
    project_id TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    agent_id   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    -- Removed from the configuration. What runs in it goes on; nothing else is found through it.
    removed_at INTEGER,
    PRIMARY KEY (org_id, project_id)
) STRICT;

-- Whether an organization keeps transcripts where its API would not.
ALTER TABLE organizations ADD COLUMN keep_transcripts INTEGER NOT NULL DEFAULT 0;

ALTER TABLE sessions ADD COLUMN project TEXT;

-- Sessions without a project keep their names for ever, as before.
DROP INDEX sessions_by_name;
CREATE UNIQUE INDEX sessions_by_name ON sessions (org_id, dialect_id, dialect)
    WHERE project IS NULL;

-- In a project a name is one live session's, and free again when that has ended.
CREATE UNIQUE INDEX sessions_live_in_project ON sessions (org_id, project, dialect_id)
    WHERE state = 'active' AND project IS NOT NULL;
-- All that have had a name there, the latest last, and all of a project in the order of their opening.
CREATE INDEX sessions_named_in_project ON sessions (org_id, dialect_id, project, session_id)
    WHERE project IS NOT NULL;
CREATE INDEX sessions_of_project ON sessions (org_id, project, session_id)
    WHERE project IS NOT NULL;
