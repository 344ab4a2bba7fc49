"""Store: where jobs, runs, events, keys and decisions rest, on SQLite or PostgreSQL."""
