"""The static C program that the container runtime executes, and how it is built."""
