"""The errors milepost raises on purpose, in one tree.

MilepostError
├── UsageError        what the user gave can not be done; the message says what was found, what was promised, what to do
├── UnavailableError  something outside is missing: a broker, a download, a file
├── MismatchError     topics, definitions or folders are not what this worker was told; going on would corrupt
└── LostError         this owner may not write any more: closed, fenced, or its membership too old
"""


class MilepostError(Exception):
    """An error with a message for the user; the command line prints it without a traceback."""


class UsageError(MilepostError):
    """The user's input, file or option is wrong."""


class UnavailableError(MilepostError):
    """Something that milepost needs is not there."""


class MismatchError(MilepostError):
    """Going on would mix what does not belong together."""


class LostError(MilepostError):
    """The partition belongs to another owner, or soon will."""
