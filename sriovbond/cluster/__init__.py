"""The only room that speaks to the Kubernetes API; entered by the entrances alone."""
