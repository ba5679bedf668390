"""The rig: a VM with real SR-IOV NICs and real bonding, for machines that have neither."""
