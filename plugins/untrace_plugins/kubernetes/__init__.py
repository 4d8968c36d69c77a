"""What components share that ask the API server of the Kubernetes cluster they run in."""
