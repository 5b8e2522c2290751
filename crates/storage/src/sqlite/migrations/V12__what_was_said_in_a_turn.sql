-- How many of the messages of a turn on record were said to the agent: the first ones.
ALTER TABLE turn_keys ADD COLUMN said INTEGER NOT NULL DEFAULT 0;
