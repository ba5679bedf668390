"""Follows the bonds of this node: receives the kernel's events, reports, repairs and releases."""
