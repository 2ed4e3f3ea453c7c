"""Gets the runtime and runs the system on one machine."""
