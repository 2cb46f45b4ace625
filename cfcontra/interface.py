"""What an exported file takes and gives, besides the usual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cfcontra.errors import InputError

ALWAYS = ("mask", "confidence")
OUTPUTS = (*ALWAYS, "frame_scores", "probabilities")


@dataclass(frozen=True)
class Interface:
    """The ends of an exported file.

    Attributes:
        outputs: which of `OUTPUTS` it gives.
    """

    outputs: tuple[str, ...] = ALWAYS

    def __post_init__(self) -> None:
        unknown = [name for name in self.outputs if name not in OUTPUTS]
        if unknown:
            raise InputError(f"Unknown output '{unknown[0]}'. Known: {', '.join(OUTPUTS)}.")
        missing = [name for name in ALWAYS if name not in self.outputs]
        if missing:
            raise InputError(f"A model file always gives '{missing[0]}'; name it as well.")
        object.__setattr__(self, "outputs", tuple(n for n in OUTPUTS if n in self.outputs))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, JSON-serialisable."""
        return {"outputs": list(self.outputs)}

    @classmethod
    def from_dict(cls, data: Any, where: str) -> Interface:
        """Read what `to_dict` wrote.

        Raises:
            InputError: malformed.
        """
        try:
            return cls(tuple(str(name) for name in data["outputs"]))
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise InputError(f"{where}: malformed interface ({error}).") from error
