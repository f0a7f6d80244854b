"""Score a model package against labelled scans: python Training/evaluate.py MODEL DATA; where the package is installed,
lcs-evaluate.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from Training.evaluation.scan_evaluation import main

    main()
