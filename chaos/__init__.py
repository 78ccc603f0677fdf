"""Faults on a real Kafka, by seed: whatever happens, every number equals a batch computation (`python -m chaos`)."""
