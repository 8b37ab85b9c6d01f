"""`paceline` and `python -m agent`: imports the command line; an interrupt meanwhile is silent too."""

import os
import signal


def main() -> None:
    """An interrupt ends the process at once while there is nothing to tidy up; then it is the command's."""
    is_taken = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_taken:
        # KeyboardInterrupt would be told by whatever part of an import it falls into, or be swallowed there.
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from agent import cli

    if is_taken:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
