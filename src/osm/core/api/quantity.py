"""Kubernetes quantities: `500m`, `1`, `1.5k`, `2Gi`, `1e3`. Exact.

Spec: "Quantity" in Kubernetes' API conventions (`apimachinery/pkg/api/resource`).
"""

import re
from fractions import Fraction
from math import gcd, lcm

_FORM = re.compile(
    r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:([eE])([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i))?", re.ASCII
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_LONGEST = 64


def parse_quantity(text: str) -> Fraction:
    """Read a quantity. Raises ValueError when it is none."""
    form = _FORM.fullmatch(text) if len(text) <= _LONGEST else None
    if form is None:
        raise ValueError(f"{text[:_LONGEST]!r} is not a quantity")
    sign, digits, _, exponent, suffix = form.groups()
    value = Fraction(digits)
    if exponent:
        value *= Fraction(10) ** int(exponent)
    elif suffix in _DECIMAL:
        value *= Fraction(10) ** _DECIMAL[suffix]
    elif suffix:
        value *= 2 ** _BINARY[suffix]
    return -value if sign == "-" else value


def whole_weights(weights: tuple[Fraction, ...], *, at_most: int) -> tuple[int, ...] | None:
    """The smallest scaling of weights to integers in exactly the same proportion.

    Integers stay as they are. None when their sum cannot be kept within `at_most`.
    """
    scale = lcm(*(weight.denominator for weight in weights))
    whole = tuple(int(weight * scale) for weight in weights)
    if scale > 1 or sum(whole) > at_most:
        whole = tuple(weight // (gcd(*whole) or 1) for weight in whole)
    return whole if sum(whole) <= at_most else None
