"""The static C program that the container runtime executes, and its build and installation."""
