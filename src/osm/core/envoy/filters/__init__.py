"""Envoy's filters and loggers: a small file each. Listeners put them together in one explicit order."""
