-- Versions hold whole documents: what lists and counts agents walks these instead.
CREATE INDEX agents_in_short ON agents (org_id, agent_id, version, deleted_at, listed);
CREATE INDEX agents_written ON agents (org_id, agent_id)
    WHERE deleted_at IS NULL AND listed AND document IS NOT NULL;
