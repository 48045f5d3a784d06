#!/usr/bin/env python3
"""Exits 0 if the address it is given answers with success within five seconds: the images' health check."""

import sys
import urllib.request

SECONDS = 5

try:
    urllib.request.urlopen(sys.argv[1], timeout=SECONDS).close()  # noqa: S310 - the compose file gives it
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error}")
