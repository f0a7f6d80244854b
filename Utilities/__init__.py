"""Scripts for those who maintain the extension; no other room uses them."""
