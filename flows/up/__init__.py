"""Owns everything on this machine at once: the parts of ``evertrain up``, watched over and ended together."""
