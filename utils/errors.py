"""The exception for errors that the user can fix."""


class UserError(Exception):
    """A problem in the user's input; the message says where it is and how to fix it.

    Command-line programs print the message without a traceback and exit with `exit_code`.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        """Stores the message and the exit code.

        Args:
            message: what is wrong, where, and what to do.
            exit_code: of the program; 2 for an invalid flag, configuration or text.
        """
        super().__init__(message)
        self.exit_code = exit_code
