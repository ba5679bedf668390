"""The node's own network as it is: read from the kernel and the node's files, as a NetState.

Beside `nodenet`, which knows what documents mean. Only people's commands enter it: it loads
pyroute2.
"""
