"""A B2B company that does not exist, and the events it would emit."""
