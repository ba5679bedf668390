"""The bond to build: options, rules, configuration, plan. Pure: no I/O, clock or root."""
