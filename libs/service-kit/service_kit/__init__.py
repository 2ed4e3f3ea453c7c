"""What both services need to live beside a Dapr sidecar. No domain nouns."""
