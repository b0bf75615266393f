"""Every place where the laptop cloud touches another project's private names.

Each module here is pinned to the versions in `pyproject.toml` and has a test that tells, on an upgrade, what moved.
"""
