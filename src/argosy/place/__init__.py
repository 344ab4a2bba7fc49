"""Place: which ask runs in which pool, node and devices, and why.

`place` decides pools (the value layer); `packing.Packer` nodes and devices within them. Both are pure: a snapshot in, a
placement out. Nothing here starts anything.
"""

from argosy.place.main import place

__all__ = ["place"]
