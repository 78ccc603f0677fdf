"""Slow oracles, each sharing no code with what it checks."""
