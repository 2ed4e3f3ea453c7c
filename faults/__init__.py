"""The fault ledger: breaks the running system in every way, and checks that it kept its word."""
