"""Adapters that read files of other systems row by row."""
