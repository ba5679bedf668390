"""The only room that speaks netlink and enters namespaces."""
