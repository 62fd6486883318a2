"""What things cost: `make bench` prints the figures, `RESULTS.md` keeps them with what they mean."""
