-- Agents that were made for one conversation are found by their id and stand in no list.
ALTER TABLE agents ADD COLUMN listed INTEGER NOT NULL DEFAULT 1;
