"""A batch computation of every analysis in SQL, written independently of the incremental code, and the comparison with the live numbers."""
