"""Maintained doubles and builders, for our tests and for users'. Nothing in production imports it."""
