"""What NICs tell of themselves: speed by ethtool, port, eswitch and health by devlink.

The one room that loads pyroute2, and only people's commands enter it: an ADD, a DEL or an event of
the watch would pay a quarter of a second for it.
"""
