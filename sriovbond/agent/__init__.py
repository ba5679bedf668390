"""The agent: one long-lived process per node that serves the CNI calls the shim forwards."""
