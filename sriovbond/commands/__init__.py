"""The CNI commands, one module each."""
