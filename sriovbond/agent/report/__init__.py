"""Reports what happens to bonds, and whether the agent is well: log, metrics, pages."""
