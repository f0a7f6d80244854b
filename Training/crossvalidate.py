"""Train and score a configuration once a fold: python Training/crossvalidate.py CONFIG.yaml [key=value ...]."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from Training.evaluation.cross_validation import main

    main()
