"""Measures the services against what one would write instead: `make bench`."""
