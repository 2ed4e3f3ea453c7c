"""Tells people what happened to tasks."""
