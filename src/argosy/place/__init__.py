"""Place: which ask runs in which pool, node and devices, and why.

The value layer decides pools (`solve`), the packing layer nodes and devices (`packing`). Both are pure: a snapshot in,
a placement out. Nothing here starts anything.
"""
