"""``python -m untrace_pipeline``."""

import sys

from untrace_pipeline.cli import main

sys.exit(main())
