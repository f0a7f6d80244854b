"""Prepare the cases of a run ahead of it: python Training/prepare.py CONFIG.yaml [key=value ...]."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from Training.engine.preparation import main

    main()
