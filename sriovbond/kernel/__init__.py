"""The only room that uses netlink and enters namespaces."""
