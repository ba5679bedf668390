"""A document as files of the node's own network manager: NetworkManager, systemd-networkd.

No I/O. `settled` what each interface is to have, `keyfiles` and `netfiles` how each manager has it.
"""
