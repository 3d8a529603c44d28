"""All comparisons in one run, ours beside others'.  ``python3 dev.py bench``, or ``python -m benchmarks [NAME ...]``

Takes some minutes, most of them for `relay` and `passive`, and needs the extra ``bench``. The others are run alone: they
take longer, or need a browser.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module

from benchmarks.compare import show

NAMES = ("parse", "log_calls", "events", "counters", "window", "rates", "quantiles", "relay", "passive")


def main() -> None:
    names = sys.argv[1:] or NAMES
    if unknown := set(names) - set(NAMES):
        sys.exit(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    print(
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs; others may be at work too"
    )
    for number, name in enumerate(names):
        show(import_module(f"benchmarks.{name}").rows(), header=number == 0)


if __name__ == "__main__":
    main()
