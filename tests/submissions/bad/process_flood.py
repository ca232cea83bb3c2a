"""Starts processes without end, and does not mind being refused."""

from __future__ import annotations

import os
import time

while True:
    try:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
    except OSError:
        time.sleep(0.01)
