"""Snapshots as a terminal shows them: readable at 80 columns, better at 160, and without colour too."""
