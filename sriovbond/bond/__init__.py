"""What a bond should be: options, rules, configuration, plan. Pure: no I/O, clock or root."""
