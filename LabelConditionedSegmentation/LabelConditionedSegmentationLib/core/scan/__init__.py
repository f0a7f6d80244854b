"""From a file to what the network sees, and back: volumes, readers and writers, checks, preprocessing, what is known
about a scan.
"""
