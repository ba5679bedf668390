"""Carries out the steps of a plan on a node: by netlink, sysctls, sysfs and resolv.conf.

Each step is carried out for itself; what holds a whole change together is not known here. An error
says which step the kernel refused, and nothing is read back: that is its caller's.
"""
