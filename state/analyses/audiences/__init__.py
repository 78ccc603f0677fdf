"""Audiences as lenses: what is asked of a container, and the course of its membership."""

from state.analyses.audiences.lens import AudienceLens, Look

__all__ = ["AudienceLens", "Look"]
