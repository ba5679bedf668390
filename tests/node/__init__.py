"""A Kubernetes node in the VM, its control plane on this machine's loopback: `make test-node`."""
