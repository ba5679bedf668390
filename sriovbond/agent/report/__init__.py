"""Reports bond events and the agent's health: log, metrics, probes."""
