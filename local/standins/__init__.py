"""Stand-ins for the outside world: each is spoken to by the real client, and holds real data."""
