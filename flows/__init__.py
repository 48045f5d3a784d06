"""Prefect flows: the order of the steps, and "if held, stop"."""
