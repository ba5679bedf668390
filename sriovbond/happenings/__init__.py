"""What happens to bonds, and how it is seen in what the kernel reports. No I/O."""
