"""Follows the bonds of this node: what the kernel says of them, and what is done for them."""
