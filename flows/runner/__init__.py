"""The runner: starts what this installation has deployed when it is due, warm where possible."""
