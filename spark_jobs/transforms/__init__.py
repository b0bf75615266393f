"""Frames in, frames out: no session, clock or I/O. Beside each transform stands the lineage of its columns."""
