"""`sriovbond host` from the agent's container: copied to the host, and run there without Python."""
