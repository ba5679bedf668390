"""A client of DHCPv4 for the node's own interfaces: one process for each, which keeps its lease.

No ADD, DEL or event loads it; it knows the kernel's room and files of its own.
"""
