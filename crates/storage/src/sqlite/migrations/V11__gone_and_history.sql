-- What an end leaves behind, and what a purge looks for.

-- A purge forgets the text messages of its session.
CREATE INDEX inbox_by_session ON inbox (org_id, session_id) WHERE session_id IS NOT NULL;

-- What is counted of a project's ended sessions. An entry is written once, by the end.
CREATE INDEX sessions_ended_in_project
    ON sessions (org_id, project, session_id, opened_at, ended_at, total_messages)
    WHERE project IS NOT NULL AND ended_at IS NOT NULL;
