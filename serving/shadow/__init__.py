"""The shadow: a challenger in a process of its own that is asked what stable was asked, and never answers."""
