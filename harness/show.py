"""A cassette as a person would read it: turn by turn what was asked, what was answered, and when.

Nothing in a cassette is trusted: `page` makes safe what goes to the terminal. And nothing in it is
taken for granted but what its schema says: what cannot be read as JSON, a chunk or an event is
shown as what it is.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from harness.cassette import Cassette, InvalidCassette, chunks_of, provenance
from harness.page import Page, as_text
from harness.reading import Part, Usage, is_stream, read_answer
from harness.show_request import client_request, parsed_object, upstream_request
from harness.terminal import Style, age, columns, counted, number, size
from harness.timing_bar import bar

__all__ = ["show"]

#: Lines of each that are shown where not all is asked for.
_MOST_REASONING: Final = 4
_MOST_TEXT: Final = 16
_MOST_HEADERS: Final = 4
_MOST_ODD: Final = 5

_STYLES_OF_ENDS: Final[Mapping[str, Style]] = {"complete": "green", "abandoned": "yellow"}

#: A line that goes on in lower case was broken by its writer, for another width.
_BROKEN: Final = re.compile(r"(?<=\S)\n(?=[a-z])")

Json = dict[str, Any]


def show(
    cassette: Cassette,
    *,
    color: bool,
    width: int | None = None,
    full: bool = False,
    now: datetime.datetime | None = None,
) -> str:
    """Return the exchange in `cassette` as text for a terminal of `width` columns.

    Without `full`, long text is shortened, and told how much of it is left out. The age of the
    recording is counted to `now`.
    """
    page = Page(width or columns(), color=color, full=full)
    lines = list(_head(page, cassette, now or datetime.datetime.now(datetime.UTC)))
    before: Json = {}
    told: dict[str, str] = {}
    for turn, (request, response) in enumerate(cassette.data, 1):
        lines += ["", page.rule(f"turn {turn} of {len(cassette)}")]
        recorded = response.get("client_request")
        asked = {} if recorded is None else parsed_object(recorded["body"])
        if recorded is not None:
            lines += _whole(page, client_request(page, recorded, asked, before))
            before = asked
        lines += _whole(page, upstream_request(page, request, asked, told))
        lines += _whole(page, _answer(page, response, request.uri))
    return "".join(f"{line}\n" for line in lines)


def _whole(page: Page, section: Iterator[str]) -> list[str]:
    """Return the lines of a section, or as many as there are before JSON that is too deep."""
    lines: list[str] = []
    try:
        lines.extend(section)
    except RecursionError:
        lines += page.row("odd", "the rest is JSON that is nested too deeply", style="red")
    return lines


# --- where it is from ----------------------------------------------------------------------------


def _head(page: Page, cassette: Cassette, now: datetime.datetime) -> Iterator[str]:
    held = sum(len(response["body"]["string"]) for response in cassette.responses)
    chunks = sum(len(response["stream"]["chunks"]) for response in cassette.responses)
    try:
        origin = provenance(cassette)
    except InvalidCassette:
        yield page.rule(str(cassette._path))
        yield from page.row("from", "it does not say where it is from", style="yellow")
    else:
        yield page.rule(f"{origin['backend']}/{origin['scenario']}")
        live = origin["upstream"] == "live"
        whose = "live" if live else "played by the emulator"
        yield from page.row("model", f"{origin['model']}, {whose}", style="green" if live else None)
        yield from page.row("client", origin["client"])
        recorded = f"{_date(origin['recorded_at'], now)}, by {origin['recorder']}"
        yield from page.row("recorded", recorded)
    holds = f"{counted(len(cassette), 'turn')}, {size(held)} in {counted(chunks, 'chunk')}"
    yield from page.row("holds", holds)


def _date(text: str, now: datetime.datetime) -> str:
    try:
        then = datetime.datetime.fromisoformat(text)
        then = then.replace(tzinfo=then.tzinfo or datetime.UTC).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return text
    return f"{then:%Y-%m-%d %H:%M} UTC, {age(then, now)} ago"


# --- what the provider answered ------------------------------------------------------------------


def _answer(page: Page, response: Json, uri: str) -> Iterator[str]:
    status = response["status"]
    what = f"HTTP {status['code']} {as_text(status['message'])}".rstrip()
    style: Style = "bold" if status["code"] == 200 else "red"
    yield page.heading("provider ─▶ proxy", what, style=style)
    headers = [
        f"{name}: {as_text(value)}"
        for name, values in response["headers"].items()
        for value in (values if isinstance(values, list) else [values])
    ]
    if headers:
        yield from page.row("headers", "\n".join(headers), most=_MOST_HEADERS, style="dim")
    body: bytes = response["body"]["string"]
    usage = None
    if is_stream(body):
        reading = read_answer(body, uri)
        for part in reading.parts:
            yield from _said(page, part)
        if reading.odd:
            yield from page.row("odd", "\n".join(reading.odd), most=_MOST_ODD, style="red")
        finish = reading.finish or "the answer has no end"
        yield from page.row("finish", finish, style=_style_of_finish(reading.finish))
        usage = reading.usage
        if usage is not None:
            yield from page.row("usage", _tokens(usage))
    elif body:
        yield from page.data("body", _readable(body), most=_MOST_TEXT)
    yield from _timing(page, response, usage)


def _said(page: Page, part: Part) -> Iterator[str]:
    match part.kind:
        case "reasoning":
            if part.text:
                text = _BROKEN.sub(" ", part.text)
                yield from page.row("reasoning", text, most=_MOST_REASONING, style="dim")
        case "text":
            yield from page.row("text", part.text, most=_MOST_TEXT)
        case "call":
            yield from page.row("call", f"{part.name}  {part.id}", style="bold")
            yield from page.data("", part.text, most=_MOST_TEXT)
        case "other":
            yield from page.row(part.name, part.text, most=_MOST_ODD)
    if part.note:
        label = "reasoning" if part.kind == "reasoning" and not part.text else ""
        yield from page.row(label, part.note, style="yellow" if part.note == "not done" else "dim")


def _style_of_finish(finish: str | None) -> Style | None:
    if finish in ("stop", "tool_calls", "response.completed"):
        return None
    return "red" if finish is None or finish.startswith("response.failed") else "yellow"


def _tokens(usage: Usage) -> str:
    def told(count: int | None, what: str, part: int | None, of_it: str) -> str:
        inside = "" if part is None else f" ({number(part)} {of_it})"
        return "" if count is None else f"{number(count)} {what}{inside}"

    prompt = told(usage.prompt, "prompt", usage.cached, "cached")
    completion = told(usage.completion, "completion", usage.reasoning, "reasoning")
    return " + ".join(filter(None, (prompt, completion))) + " tokens"


def _readable(body: bytes) -> str:
    text = body.decode(errors="replace")
    if "\0" in text or text.count("\ufffd") > len(text) / 10:
        return f"{size(len(body))} that are no text"
    return text


# --- when ----------------------------------------------------------------------------------------


def _timing(page: Page, response: Json, usage: Usage | None) -> Iterator[str]:
    """Yield what came, how it ended, and a line on which the chunks are drawn by their times."""
    chunks = chunks_of(response)
    body: bytes = response["body"]["string"]
    came = f"{counted(len(chunks), 'chunk')}, {size(len(body))}" if body else "nothing came"
    # YAML has .inf and .nan, and the schema calls them numbers.
    times = [time if math.isfinite(time) else 0.0 for time, _ in chunks]
    if usage is not None and usage.completion and max(times) > min(times):
        rate = usage.completion / (max(times) - min(times)) * 1000
        came += f", {number(rate)} tokens/s"
    yield from page.row("stream", came)
    end = response["stream"]["end"]
    yield from page.row("ended", end, style=_STYLES_OF_ENDS.get(end, "red"))
    if times:
        weights = [max(chunk.count(b"\n\n"), 1) for _, chunk in chunks]
        yield from page.row("timing", bar(times, weights, page.text_width), style="cyan")
