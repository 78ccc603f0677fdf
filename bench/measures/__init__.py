"""What can be measured in an arena, a subject per file: each a struct of its options with one method, `run`."""
