"""Where data comes from: each source gives a frame in its contract's columns, with `_file` and `_received_at`."""
