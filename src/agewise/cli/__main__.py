"""`python -m agewise.cli`: the command line where the script `agewise` is not on the path."""

import sys

from agewise.cli.main import main

sys.exit(main())
