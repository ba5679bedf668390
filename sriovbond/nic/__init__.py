"""Facts reported by NICs: speed by ethtool; ports, eswitch and health by devlink.

By pyroute2, which only the command line and `sriovbond host` load: the import would cost an ADD, a
DEL or an event of the watch a quarter of a second.
"""
