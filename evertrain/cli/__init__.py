"""The command line ``evertrain``: reads arguments, calls the rings below, prints, exits."""

from evertrain.cli.app import run

__all__ = ["run"]
