"""What is remembered and decided: definitions, series, analyses, rows, rendering. Pure but for `store.py` (RocksDB)."""
