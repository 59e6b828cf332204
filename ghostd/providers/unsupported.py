"""Parameters that a dialect, or a model, has no place for: refused by name, or left out where the setting says so."""

from __future__ import annotations

from ghostd.errors import UnsupportedParameter
from ghostd.left_out import note
from ghostd.types import Sampling


class Unsupported:
    """What becomes of parameters that one provider cannot honour."""

    def __init__(self, upstream: str, *, drop: bool) -> None:
        """`upstream` names the service in messages; `drop` is the setting drop_unsupported of its provider."""
        self._upstream = upstream
        self._drop = drop

    def lenient(self, *, wanted: bool) -> Unsupported:
        """The same, or if `wanted` one that leaves everything out."""
        return Unsupported(self._upstream, drop=True) if wanted else self

    def refuse(self, param: str, why: str) -> None:
        """Raise UnsupportedParameter; returns where the parameter is to be left out instead, and has that told."""
        if not self._drop:
            raise UnsupportedParameter(
                f"{self._upstream} does not support '{param}': {why} Leave it out, or set drop_unsupported for the "
                "provider.",
                param,
            )
        note(param)

    def lose(self, hint: str) -> None:
        """Leave out a parameter that is a mere hint."""
        note(hint)

    def refuse_part(self, param: str, why: str) -> UnsupportedParameter:
        """The error for a part of a message, which is never left out, since that would change what is asked."""
        return UnsupportedParameter(f"{self._upstream} cannot take '{param}': {why}", param)

    def sampling(self, sampling: Sampling, params: tuple[str, ...]) -> None:
        """Refuse those of these fields that are set to something other than their neutral value."""
        for param in params:
            value = getattr(sampling, param)
            if value is None or value == _NEUTRAL.get(param):
                continue
            lenient = self.lenient(wanted=sampling.optional and param not in _SHOWN)
            lenient.refuse(_WIRE_NAMES.get(param, param), "the API has no such parameter.")


_NEUTRAL: dict[str, object] = {
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "min_p": 0,
    "repeat_penalty": 1,
    "logit_bias": {},
}
"""Values that change nothing, so that leaving them out loses nothing."""

_SHOWN = frozenset(("logprobs", "grammar", "json_schema"))
"""Fields that show in the reply."""
_WIRE_NAMES = {"repeat_penalty": "repetition_penalty", "json_schema": "response_format"}
"""Clients know these fields by their names on the wire."""
