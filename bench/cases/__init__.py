"""What is measured: a module for each group of cases; `all` has them in order."""
