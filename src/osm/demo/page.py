"""The applications' web page: one self-contained file, in one style, with live counters.

It fetches `raw` (the counters) and `activity` (the newest events) each second. Nothing comes from
elsewhere, and whatever an application was told is escaped.
"""

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from osm.demo.journal import Journal
from osm.demo.server import Response, json_response

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)


class Counter(NamedTuple):
    """A counter on the page: its key in `/raw`, and what it is called."""

    key: str
    label: str


class Page(NamedTuple):
    """What the page of one application shows. The first counter is the big one."""

    title: str
    blurb: str
    colour: str
    """For light backgrounds."""
    night_colour: str
    """For dark backgrounds."""
    counters: tuple[Counter, ...]
    destination_label: str = "requests go to"

    def response(self, identity: str, destination: str) -> Response:
        """Return the page as an answer."""
        headers = (("Content-Security-Policy", POLICY), ("Cache-Control", "no-store"))
        body = self.render(identity, destination)
        return Response(200, body, "text/html; charset=utf-8", headers)

    def render(self, identity: str, destination: str) -> bytes:
        """Return the page's HTML, in which every word of an application is escaped."""
        first, *parts = self.counters
        words = {
            "TITLE": self.title,
            "BLURB": self.blurb,
            "COLOUR": self.colour,
            "NIGHT": self.night_colour,
            "IDENTITY": identity,
            "KEY": first.key,
            "LABEL": first.label,
            "DESTINATION_LABEL": self.destination_label,
            "DESTINATION": destination,
        }
        pieces = {name: html.escape(word) for name, word in words.items()}
        pieces["PARTS"] = "".join(map(_part, parts))
        pieces["STYLE"] = _fill(_static("page.css"), pieces)
        pieces["SCRIPT"] = _static("page.js")
        return _fill(_static("page.html"), pieces).encode()


def activity(journal: Journal) -> Response:
    """Answer with the newest events, newest first."""
    return json_response([entry._asdict() for entry in journal.entries()])


def _part(counter: Counter) -> str:
    key, label = html.escape(counter.key), html.escape(counter.label)
    bar = "<i><b></b></i><output></output>"
    return f'<p class="part" data-key="{key}"><span>{label}</span>{bar}</p>'


def _fill(text: str, pieces: Mapping[str, str]) -> str:
    # One pass: what is filled in is never searched again.
    return re.sub(r"\[\[([A-Z_]+)\]\]", lambda found: pieces[found[1]], text)


def _static(name: str) -> str:
    # importlib.resources would take longer to import than the rest of the application.
    return (Path(__file__).parent / "static" / name).read_text(encoding="utf-8")
