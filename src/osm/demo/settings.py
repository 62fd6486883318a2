"""Settings of the applications, read from environment variables.

Every function takes the environment as a value, so that tests need not change their own.
"""

from collections.abc import Mapping

from osm.errors import ConfigError

Environment = Mapping[str, str]


def text(environment: Environment, name: str, default: str) -> str:
    """Return the variable's value; empty counts as not set."""
    return environment.get(name, "").strip() or default


def number(environment: Environment, name: str, default: float, *, least: float = 0.0) -> float:
    """Return the variable as a number, which may be a fraction."""
    written = text(environment, name, "")
    if not written:
        return default
    try:
        value = float(written)
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):  # also refuses "nan"
        raise ConfigError(
            f"environment variable {name} is {written!r}",
            hint=f"Set it to a number from {least:g} up, or leave it out for {default:g}.",
        )
    return value


def whole(environment: Environment, name: str, default: int, *, least: int = 0) -> int:
    """Return the variable as a whole number."""
    value = number(environment, name, default, least=least)
    if value != int(value):
        raise ConfigError(
            f"environment variable {name} is {value:g}",
            hint=f"Set it to a whole number from {least} up, or leave it out for {default}.",
        )
    return int(value)


def span_s(
    environment: Environment, name: str, default: tuple[float, float]
) -> tuple[float, float]:
    """Return a span of milliseconds, `150-750` or `20`, in seconds."""
    written = text(environment, name, "")
    if not written:
        return default
    low_text, dash, high_text = written.partition("-")
    try:
        low = float(low_text) / 1000
        high = float(high_text) / 1000 if dash else low
    except ValueError:
        low, high = 1.0, 0.0
    if not 0.0 <= low <= high < 3600.0:
        raise ConfigError(
            f"environment variable {name} is {written!r}",
            hint="Set it to milliseconds: one number, or a span such as 150-750.",
        )
    return low, high
