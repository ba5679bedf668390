"""Bond events (happenings), and their detection in what the kernel reports. No I/O."""
