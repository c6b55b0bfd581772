"""The error that a user caused and can fix."""


class UserError(Exception):
    """A problem in what the user gave; its message names the place and the remedy.

    Command-line programs print it as one line, without a traceback, and exit with `exit_code`.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        """Makes the error.

        Args:
            message: what is wrong, where, and what to do.
            exit_code: 2 for a bad flag, config or text.
        """
        super().__init__(message)
        self.exit_code = exit_code
