"""The node's own network as a document of nmstate: read, compared, turned into steps. No I/O.

`host.py` knows the paths of this machine; here are the bonds, bridges and addresses that it has.
"""
