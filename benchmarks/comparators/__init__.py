"""What the services are measured against: the same routes, written in other ways."""
