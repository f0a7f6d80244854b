"""Train a segmentation network: python Training/train.py CONFIG.yaml [key=value ...]; where the package is installed,
lcs-train.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from Training.engine.command_line import main

    main()
