"""The Hugging Face Hub where it can be reached, else its cache at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE = 10.0  # seconds


@contextmanager
def quick_hub() -> Iterator[None]:
    """Within the block, a Hub that cannot be reached is asked for nothing.

    Its client would try each request again for half a minute, even for files that it holds.

    Raises:
        ConnectionError: the block failed and the Hub cannot be reached.
    """
    from huggingface_hub import constants

    reason = None if constants.HF_HUB_OFFLINE else _unreachable()
    if reason is None:
        yield
        return
    constants.HF_HUB_OFFLINE = True  # what its own switch sets; that one is read at import only
    try:
        yield
    except Exception as error:
        raise ConnectionError(
            f"{constants.ENDPOINT} cannot be reached: {reason}; not in its cache either"
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = False


def _unreachable() -> str | None:
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=_PATIENCE)
    except Exception as error:  # noqa: BLE001  # whatever its HTTP library raises
        return str(error).strip().rstrip(".") or type(error).__name__
    return None
