"""The agent: one long-lived process on a node that answers what the shim hands over."""
