"""The one error that set-up and supervision raise: a sentence that says what to do."""


class SetupError(Exception):
    """Something the user has to change; its text is one clear sentence, shown as it is."""


class AlreadyRunning(SetupError):
    """Another `./run up` holds this state directory."""
