"""Exit statuses: 0 all well, 1 something failed, 2 a mistake in the command, 3 not all pass, 128 + n signal n."""

from __future__ import annotations

from agewise.errors import AgewiseError, UnknownDetectorError, UnknownModelError

FAILED = 1
MISTAKE = 2
NOT_PASSED = 3
"""`agewise verify`: nothing went wrong, but a face failed or is unsure."""
BROKEN_PIPE = 141
"""As if by SIGPIPE, 128 + 13: whoever read our output went away, which is no failure of ours."""


class UsageError(AgewiseError):
    """The command asks for what cannot be: nothing was begun."""


def status_of(error: AgewiseError) -> int:
    """The exit status of a run that this error ended."""
    return MISTAKE if isinstance(error, (UsageError, UnknownModelError, UnknownDetectorError)) else FAILED
