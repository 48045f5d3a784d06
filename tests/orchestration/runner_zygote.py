"""Owns a zygote for the tests of the runner: it imports little, and forks silent children where told to."""

import signal
import sys

from flows.runner import zygote

zygote.import_everything = lambda: (__import__("numpy"), __import__("runner_flows"))
if "silent" in sys.argv:
    # As one that waits for a lock which a thread held when it was forked.
    zygote.begin_anew = lambda: (signal.signal(signal.SIGTERM, signal.SIG_IGN), signal.pause())
zygote.main(int(sys.argv[-1]))
