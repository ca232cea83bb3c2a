"""Writes a report of its own and leaves: it is not one."""

from __future__ import annotations

import os
import sys

os.write(int(sys.argv[2]), b'{"findings": "none", "report": {}}')
os._exit(0)
