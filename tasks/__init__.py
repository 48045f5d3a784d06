"""Prefect tasks, one a step of the loop: retries, timeouts, records and artifacts live here, no logic."""
