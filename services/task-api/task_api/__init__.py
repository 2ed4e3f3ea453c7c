"""Keeps tasks and announces every change."""
