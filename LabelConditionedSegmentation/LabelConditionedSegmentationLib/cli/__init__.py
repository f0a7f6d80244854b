"""The `lcs` command line."""
