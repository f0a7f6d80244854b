"""The exit statuses of `lcs`."""

DONE = 0
FAILED = 1
"""A batch with scans that failed; the others are done."""

REFUSED = 2
"""Nothing was done, for the reason that one sentence on standard error gives."""

INTERRUPTED = 130
