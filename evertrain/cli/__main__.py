"""Owns ``python -m evertrain.cli``."""

from evertrain.cli.app import run

run()
