"""A batch computation of every analysis in SQL, written independently of the incremental code, and its comparison with
the live numbers."""
