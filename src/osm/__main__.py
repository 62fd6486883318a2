"""`python -m osm`: the `osm` command."""

import sys

from osm.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
