"""The embedded renderer, and the step that runs before Quarto."""

import sys

# Where it is installed, `nbformat` compiles its 39 grammars of web addresses at every start, which
# takes a second, and checks none.
sys.modules.setdefault("rfc3987_syntax", None)
