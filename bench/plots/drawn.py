"""From a figure to bytes: SVG to stand in a page, and SVG and PNG to stand alone.

In a page several SVGs share one name space, one style sheet and one ground. So every id gets the chart's
slug, nothing is styled but by attributes, ink and paper become the page's own (light or dark), and letters
stay letters in the page's font. Nothing in it is a date, a random name or an address.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from bench.plots.canvas import BLUE, FAMILY, FONT, INK, PAPER, WHITE, printable, settings
from bench.plots.charts import Chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

PNG_DPI = 200
"""1,000 pixels for the width of a chart: sharp on a phone, and still small."""
DECIMALS = 2
"""Of a point: a hundredth of it nobody sees, and platforms round further ones differently."""
_PAD_IN, _TITLE_IN = 8 / 72, 18 / 72
_UNSIGNED = {"Date": None, "Creator": None, "Format": None, "Type": None}
_SVG = "http://www.w3.org/2000/svg"
_ON_PAGE = {
    INK: "currentColor",
    PAPER: "var(--paper)",
    BLUE: "var(--blue)",
    WHITE: "var(--on-blue)",
}
"""What a page decides for light and for dark: text, ground, and the one colour too dim on a dark ground."""
_ALONE: Mapping[str, str] = {}
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_NUMBERED = ("d", "x", "y", "width", "height", "transform", "viewBox")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def inline_svg(chart: Chart) -> str:
    """An `<svg>` element for an HTML page, with title and description for those who do not see it.

    The page sets the properties of `_ON_PAGE`. Raises ValueError where the chart has no figure.
    """
    figure = _figure(chart)
    figure.patch.set_visible(False)
    root = _root(_saved(figure, "svg", metadata=_UNSIGNED), chart.slug, _ON_PAGE)
    _begin(
        root,
        chart,
        {"role": "img", "aria-labelledby": f"{chart.slug}-title", "aria-describedby": f"{chart.slug}-desc"},
        desc=chart.alt,
    )
    return ElementTree.tostring(root, encoding="unicode")


def svg_bytes(chart: Chart) -> bytes:
    """A file by itself, on a card with its title. Raises ValueError where the chart has no figure."""
    with _carded(chart) as (figure, box):
        data = _saved(figure, "svg", metadata=_UNSIGNED, bbox_inches=box)
    root = _root(data, chart.slug, _ALONE)
    _begin(root, chart, {"xmlns": _SVG, "font-family": f"{FAMILY}, sans-serif"}, desc=chart.alt)
    return f"{ElementTree.tostring(root, encoding='unicode')}\n".encode()


def png_bytes(chart: Chart) -> bytes:
    """A file by itself, on a card with its title. Raises ValueError where the chart has no figure."""
    with _carded(chart) as (figure, box):
        return _saved(figure, "png", metadata={"Software": None}, dpi=PNG_DPI, bbox_inches=box)


@contextmanager
def _carded(chart: Chart) -> Iterator[tuple[Figure, Bbox]]:
    """The figure with a ground, its title above it, and the box in inches that holds both."""
    from matplotlib.transforms import Bbox

    figure = _figure(chart)
    width, height = figure.get_size_inches()
    top = height + _TITLE_IN
    figure.patch.set_visible(True)
    figure.patch.set_bounds(
        -_PAD_IN / width, -_PAD_IN / height, 1 + 2 * _PAD_IN / width, (top + 2 * _PAD_IN) / height
    )
    with settings():
        title = figure.text(
            0,
            (height + _TITLE_IN / 2) / height,
            printable(f"{chart.recipe}: {chart.title}"),
            fontsize=FONT + 1,
        )
        try:
            yield figure, Bbox.from_extents(-_PAD_IN, -_PAD_IN, width + _PAD_IN, top + _PAD_IN)
        finally:
            title.remove()


def _figure(chart: Chart) -> Figure:
    if chart.figure is None:
        raise ValueError(f"chart {chart.slug!r} has no figure: {chart.caption}")
    return chart.figure


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with settings():
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def _root(data: bytes, slug: str, colours: Mapping[str, str]) -> Element:
    """The parsed and cleaned SVG, without name space."""
    root = ElementTree.fromstring(data)  # noqa: S314 - written by matplotlib a moment ago
    names = {name: f"{slug}-{number}" for number, name in enumerate(_references(root), start=1)}
    _clean(root, names, colours)
    return root


def _begin(root: Element, chart: Chart, attributes: Mapping[str, str], desc: str) -> None:
    """Attributes of the outermost element, title and description."""
    root.attrib = {**attributes, "viewBox": root.attrib["viewBox"], "stroke-linejoin": "round"}
    for name, text in (("desc", desc), ("title", f"{chart.recipe}: {chart.title}")):
        element = Element(name, {"id": f"{chart.slug}-{name}"})
        element.text = printable(text)
        root.insert(0, element)


def _references(root: Element) -> Iterator[str]:
    """The ids that something refers to, in order, each once."""
    seen = dict.fromkeys(
        name
        for element in root.iter()
        for key, value in element.attrib.items()
        for name in ([value[1:]] if key.endswith("href") else _REFERENCE.findall(value))
    )
    yield from seen


def _clean(element: Element, names: Mapping[str, str], colours: Mapping[str, str]) -> None:
    """In place, from the leaves up."""
    element.tag = element.tag.rpartition("}")[2]
    element.tail = None
    if not (element.text or "").strip():
        element.text = None
    element.attrib = dict(_attributes(element, names, colours))
    for child in list(element):
        _clean(child, names, colours)
    kept: list[Element] = []
    for child in element:
        is_bare_group = child.tag == "g" and not child.attrib
        kept += list(child) if is_bare_group else [child] if _is_seen(child) else []
    element[:] = kept


def _is_seen(element: Element) -> bool:
    """Not: the writer's metadata, a style sheet that would hold for the whole page, paths without paint."""
    if element.tag in ("metadata", "style"):
        return False
    if element.tag == "defs":
        return len(element) > 0
    return not (element.tag == "path" and element.attrib.get("style") == "fill: none")


def _attributes(
    element: Element, names: Mapping[str, str], colours: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    for key, value in element.attrib.items():
        name = key.rpartition("}")[2]
        if name == "id":
            if value in names:
                yield "id", names[value]
        elif name == "href":
            yield "href", f"#{names[value[1:]]}"
        elif name == "style":
            yield "style", _style(value, colours)
        elif name == "transform" and value.startswith("rotate(-0 "):
            continue
        elif name in _NUMBERED:
            yield name, " ".join(_NUMBER.sub(_rounded, value).split())
        else:
            yield name, _REFERENCE.sub(lambda match: f"url(#{names[match[1]]})", value)


def _style(style: str, colours: Mapping[str, str]) -> str:
    """Without the font's name: the page, or the root, sets it."""
    kept = [part.strip() for part in style.split(";") if not part.strip().startswith("font-family")]
    text = "; ".join(kept)
    for colour, replaced in colours.items():
        text = text.replace(colour, replaced)
    return text


def _rounded(match: re.Match[str]) -> str:
    text = f"{float(match[0]):.{DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
