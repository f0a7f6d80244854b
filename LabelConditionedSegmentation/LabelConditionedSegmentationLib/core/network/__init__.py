"""The network: trunk + conditioning + head."""
