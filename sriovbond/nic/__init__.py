"""Facts reported by NICs: speed by ethtool; ports, eswitch and health by devlink.

The only room that imports pyroute2, and only the command line uses it: the import would cost an
ADD, a DEL or an event of the watch a quarter of a second.
"""
