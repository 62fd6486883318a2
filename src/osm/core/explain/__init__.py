"""Why: decisions with their origins, simulation of generated configuration, topology."""
