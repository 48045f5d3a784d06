"""Owns the home's own Prefect server: its process, how it is found, who uses it."""
