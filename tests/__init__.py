"""Tests: `unit` without Dapr, `contract` on the adapters and on Dapr, `e2e` on running systems."""
