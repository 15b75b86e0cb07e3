"""The HTML report in a real browser: what it shows, how it is used, and how soon it is there."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final, Literal

import pytest

from harness import report
from harness.provider import Provider
from harness.subject import OwnProxy
from harness.verdicts import Case, Line, Run, Turn, Verdict, write_lines
from tests.browser.conftest import Browser
from tests.conformance.mutants import Mutation, without
from tests.report_runs import MUTANT, lines_of

#: A case of the mutant, and the event at which `items/2` shows.
CALLS: Final = f"#case={MUTANT}+~+cerebras%2Fparallel-calls+~+recorded"

HOSTILE: Final = "</script><script>document.title = 'x'</script><img src=x onerror=alert(1)>"

Theme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def lines(provider: Provider, proxy: OwnProxy) -> list[Line]:
    mutation = Mutation(events=without("response.output_item.done", item="function_call"))
    names = ["hello", "parallel-calls", "create-file", "unicode-arguments"]
    lines = lines_of(names, provider, proxy, mutation)
    broken = [line for line in lines if isinstance(line, Verdict) and line.verdict == "fault"]
    found = [line for line in broken if line.rule == "items/2"]  # once in each case
    # One that is known: every kind of verdict is to be seen.
    found[-1].verdict, found[-1].reason = "gap", "it is being mended"
    return lines


@pytest.fixture(scope="module")
def page(lines: list[Line], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("report"), lines)


def written(folder: Path, lines: list[Line]) -> Path:
    write_lines(lines, folder / "verdicts.jsonl")
    report.write(folder)
    return folder / "index.html"


def text(browser: Browser, selector: str) -> list[str]:
    """Return the text of all that matches."""
    found: list[str] = browser.run(
        "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)",
        selector,
    )
    return found


# --- what it shows -------------------------------------------------------------------------------


def test_it_opens_with_the_worst_case_and_asks_nobody_for_anything(
    browser: Browser, page: Path
) -> None:
    browser.open(page)

    assert text(browser, "#case-title")[0].endswith(MUTANT)
    assert text(browser, "#tallies strong") == ["✓ codex-proxy", f"✕ {MUTANT}"]
    assert browser.run("return performance.getEntriesByType('resource').length") == 0
    assert browser.complaints == []


def test_both_lanes_hold_all_that_came(browser: Browser, page: Path, lines: list[Line]) -> None:
    browser.open(page, CALLS)

    case = next(
        line
        for line in lines
        if isinstance(line, Case)
        and (line.subject, line.cassette[9:]) == (MUTANT, "parallel-calls")
    )
    ticks = """return [...document.querySelectorAll(".lanes svg")].map((one) =>
        [...one.querySelectorAll("[class^=stroke]")].map((path) => [
            path.getAttribute("class"), (path.getAttribute("d").match(/M/g) || []).length]))"""
    for turn, drawn in zip(case.turns, browser.run(ticks), strict=True):
        counts = dict(drawn)
        assert counts.pop("stroke-chunk") == len(turn.chunks)
        assert sum(counts.values()) == len(turn.events)


def test_a_fault_is_marked_where_it_happened(browser: Browser, page: Path) -> None:
    browser.open(page, CALLS)
    browser.run("document.querySelector('.finding dd a').click()")

    # The cursor on the event, and the fault's mark below it, stand at the same place.
    cursor = browser.wait("return document.querySelector('.chosen').getAttribute('d')")
    marks = browser.run("""return [...document.querySelectorAll(".lanes .mark")]
        .map((one) => one.getAttribute("d").split(" ")[0])""")
    assert cursor.split(" ")[0] in marks
    assert '"type": "response.output_item.added"' in text(browser, ".turn pre")[0]


def test_expected_and_actual_stand_side_by_side(browser: Browser, page: Path) -> None:
    browser.open(page, CALLS)

    assert any("items/2 MUST" in heading for heading in text(browser, ".finding h3"))
    assert any("response.output_item.done" in piece for piece in text(browser, ".finding del"))
    assert text(browser, ".finding ins") != []


def test_what_a_proxy_says_is_text(browser: Browser, tmp_path: Path) -> None:
    case = (HOSTILE, HOSTILE, HOSTILE)
    event = (1.0, HOSTILE, {"type": HOSTILE})
    lines: list[Line] = [
        Run(HOSTILE, HOSTILE, HOSTILE, version=HOSTILE, target=HOSTILE),
        Case(*case, [Turn([(0.5, 3, HOSTILE)], [event])]),
        Verdict(*case, "items/2", "MUST", "fault", HOSTILE, HOSTILE, HOSTILE, 1, 0, HOSTILE, "x"),
    ]

    browser.open(written(tmp_path, lines))
    browser.run("document.querySelector('.finding dd a').click()")
    browser.wait("return document.querySelector('.turn pre').textContent")

    assert browser.run("return document.title") == "Conformance report"
    assert browser.run("return document.querySelectorAll('img').length") == 0
    assert HOSTILE in text(browser, ".turn pre")[0]
    assert browser.complaints == []


def test_faults_of_one_rule_are_told_together(
    browser: Browser, tmp_path: Path, lines: list[Line]
) -> None:
    found = [
        line
        for line in lines
        if isinstance(line, Verdict)
        and (line.subject, line.cassette[9:], line.verdict) == (MUTANT, "parallel-calls", "fault")
    ]
    (call,) = [line for line in found if line.rule == "items/2"]
    more = [replace(call, event=(call.event or 0) + number) for number in (1, 2)]
    browser.open(written(tmp_path, [*lines, *more]), CALLS)

    assert len(text(browser, "article.finding")) == len(found)
    assert len(text(browser, ".finding dl")) == len(found) + 2
    assert text(browser, ".finding summary") == ["2 more of items/2"]
    # A link to one that is folded away shows it.
    browser.run("document.querySelector('.finding details dl a').click()")
    browser.wait("return document.querySelector('.finding details[open] dl[aria-current]')")


# --- how it is used ------------------------------------------------------------------------------


def test_a_cell_of_the_matrix_filters_the_cases(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run(f"document.querySelector('[data-key=\"items {MUTANT} recorded\"]').click()")
    browser.wait("return location.hash.includes('section=items')")

    browser.wait("return document.querySelectorAll('#list li').length < 8")
    rows = text(browser, "#list li")
    assert rows
    assert all(MUTANT in row and "fault" in row for row in rows)
    assert text(browser, "#status") == [f"{len(rows)} cases of 8"]
    # What is counted, and told first, is what is looked at.
    items = [finding for finding in text(browser, ".finding h3") if "items/" in finding]
    assert text(browser, ".finding h3")[: len(items)] == items
    assert re.findall(r"\d+(?= fault)", rows[0]) == [str(len(items))]


def test_many_columns_are_folded_into_one_for_each_subject(
    browser: Browser, tmp_path: Path, lines: list[Line]
) -> None:
    many: list[Line] = list(lines)
    for number in range(5):
        varied = (line for line in lines if not isinstance(line, Run))
        many += [replace(line, variant=f"variant-{number}") for line in varied]
    browser.open(written(tmp_path, many))
    heads = "#matrix thead tr:last-child th"
    assert text(browser, heads) == ["6 variants"] * 2

    browser.run(f"document.querySelector('[data-key=\"items {MUTANT} \"]').click()")
    browser.wait("return document.querySelector('#matrix td [aria-current]')")
    assert text(browser, "#status") == [f"{len(text(browser, '#list li'))} cases of 48"]

    browser.run(f"document.querySelector('[data-key=\"open {MUTANT}\"]').click()")
    browser.wait("return document.querySelector('#matrix thead [aria-expanded=true]')")
    variants = ["recorded", *(f"variant-{number}" for number in range(5))]
    assert text(browser, heads) == ["6 variants", *variants]


@pytest.mark.parametrize("verdict", ["fault", "gap", "pass"])
def test_the_filter_by_verdict_leaves_the_cases_that_have_it(
    verdict: str, browser: Browser, page: Path, lines: list[Line]
) -> None:
    browser.open(page, f"#section=items&verdict={verdict}")

    having = {
        (line.subject, line.cassette)
        for line in lines
        if isinstance(line, Verdict) and line.rule.startswith("items/") and line.verdict == verdict
    }
    assert len(text(browser, "#list li")) == len(having)


def test_a_link_leads_to_what_was_shown(browser: Browser, page: Path) -> None:
    browser.open(page, CALLS)
    browser.run("document.querySelector('.finding dd a').click()")
    browser.wait("return document.querySelector('.finding[aria-current]')")
    shown = text(browser, "output") + text(browser, ".turn pre") + text(browser, "#case-title")

    browser.open(page, browser.run("return location.hash"))

    browser.wait("return document.querySelector('output').textContent")
    again = text(browser, "output") + text(browser, ".turn pre") + text(browser, "#case-title")
    assert again == shown


def test_it_can_be_used_without_a_mouse(browser: Browser, page: Path) -> None:
    browser.open(page, CALLS)
    for _ in range(200):
        browser.press("Tab")
        if browser.run("return document.activeElement.className") == "lanes":
            break
    else:
        pytest.fail("Tab never came to the timeline")

    browser.press("n")
    at = int(browser.wait("return new URLSearchParams(location.hash.slice(1)).get('event')"))
    assert "✕ items/2" in browser.wait("return document.querySelector('output').textContent")
    browser.press("ArrowRight")
    browser.wait(
        f"return document.querySelector('output').textContent.startsWith('event {at + 1} ')"
    )
    browser.press("ArrowUp")
    browser.wait("return document.querySelector('output').textContent.startsWith('chunk ')")

    assert browser.run("return document.activeElement.className") == "lanes"


def test_the_focus_stays_where_it_was_when_a_part_is_drawn_anew(
    browser: Browser, page: Path
) -> None:
    browser.open(page)
    browser.run("document.querySelector('#matrix [role=button]').focus()")
    browser.press("Enter")
    browser.wait("return document.querySelector('#matrix [aria-expanded=true]')")

    assert browser.run("return document.activeElement.getAttribute('aria-expanded')") == "true"


# --- how it looks --------------------------------------------------------------------------------


def test_all_that_can_be_used_has_a_name(browser: Browser, page: Path) -> None:
    browser.open(page, f"{CALLS}&section=items")

    nodes = browser.command("Accessibility.getFullAXTree")["nodes"]
    usable = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node.get("ignored") and node["role"]["value"] in ("button", "link", "combobox")
    ]
    assert len(usable) > 40
    assert [role for role, name in usable if not name.strip()] == []


#: Returns each text whose colour is too near to what is behind it (WCAG 2, level AA: 4.5 to 1).
_FAINT: Final = """
const channel = (value) =>
  (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const light = ([red, green, blue]) =>
  0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const painted = (colors) => {
  for (const color of colors) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const faint = new Set();
for (const one of document.querySelectorAll("body *")) {
  const says = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!says || !one.getClientRects().length) continue;
  const behind = [];
  for (let up = one; up; up = up.parentElement) {
    behind.unshift(getComputedStyle(up).backgroundColor);
  }
  const style = getComputedStyle(one);
  const ink = one instanceof SVGElement ? style.fill : style.color;
  const [low, high] = [painted(behind), painted([...behind, ink])]
    .map(light).sort((one, other) => one - other);
  if ((high + 0.05) / (low + 0.05) < 4.5) faint.add(`${one.tagName} ${one.textContent}`);
}
return [...faint];
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_it_fits_the_screen_and_can_be_read(
    width: int, theme: Theme, browser: Browser, page: Path
) -> None:
    browser.look(theme=theme, width=width)
    browser.open(page, f"{CALLS}&section=items&turn=1&event=25")

    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.run(_FAINT) == []
    paper = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(21, 23, 26)") == (theme == "dark")


# --- how soon it is there ------------------------------------------------------------------------


def test_forty_cassettes_and_ten_thousand_events_open_in_two_seconds(
    browser: Browser, lines: list[Line], tmp_path: Path
) -> None:
    many: list[Line] = [line for line in lines if isinstance(line, Run)]
    events = 0
    for number in count():
        for line in lines:
            if not isinstance(line, Run) and line.subject == MUTANT:
                many.append(replace(line, cassette=f"{line.cassette}-{number}"))
                events += sum(len(turn.events) for turn in getattr(many[-1], "turns", ()))
        if number >= 9 and events >= 10_000:
            break

    page = written(tmp_path, many)
    seconds = browser.open(page)

    assert len(text(browser, "#list li")) == 4 * (number + 1) >= 40
    print(f"{events} events, {page.stat().st_size / 1e6:.1f} MB: {seconds:.2f} s")  # noqa: T201
    assert seconds < 2
