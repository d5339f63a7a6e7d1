"""A campaign of damaged and unusual inputs; see `core`."""
