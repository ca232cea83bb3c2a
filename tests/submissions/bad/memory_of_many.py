"""Takes memory in many processes, each below the bound of one."""

from __future__ import annotations

import os
import time

for _ in range(8):
    if os.fork() == 0:
        break
kept = b"x" * (180 * 2**20)
time.sleep(60)
