"""The files of the page: small, complete, and alone."""

from __future__ import annotations

import gzip
import re

import pytest

from frp_wrapper.monitoring.web_api.assets import WEB

OWN = sorted(WEB.glob("app/**/*.js"))
SERVED = sorted(file for file in WEB.rglob("*") if file.suffix in {".html", ".js", ".css", ".svg"})
LIMIT = 80_000


def test_the_page_is_small() -> None:
    """Everything together, in both languages, is less than 80 kB compressed."""
    assert sum(len(gzip.compress(file.read_bytes(), 9)) for file in SERVED) < LIMIT


def test_every_import_is_there() -> None:
    """Each module imports files that exist, by relative paths."""
    for file in OWN:
        for path in re.findall(r'from "([^"]+)"', file.read_text()):
            assert path.startswith("."), f"{file.name} imports {path}"
            assert (file.parent / path).resolve().is_file(), f"{file.name} imports {path}"


def test_every_module_is_used() -> None:
    """No module is left over: each is imported by another, or by the page."""
    used = {
        (file.parent / path).resolve()
        for file in OWN
        for path in re.findall(r'from "([^"]+)"', file.read_text())
    }
    assert {file for file in OWN if file not in used} == {WEB / "app" / "main.js"}


def test_the_page_needs_nobody() -> None:
    """No file names an address of somebody else, but namespaces of XML."""
    for file in [*OWN, WEB / "index.html", WEB / "style.css", WEB / "icon.svg"]:
        others = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", file.read_text())
        assert set(others) <= {"http://www.w3.org"}, file.name


def test_the_strict_policy_can_hold() -> None:
    """No script or style stands in the page itself, and nothing makes code of text or elements of HTML."""
    page = (WEB / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)
    for file in OWN:
        forbidden = r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write"
        assert not re.search(forbidden, file.read_text()), file.name


@pytest.mark.parametrize("name", ["preact", "htm", "signals"])
def test_vendored_code_has_its_licence(name: str) -> None:
    """What others wrote comes with the text of its licence."""
    assert "copyright" in (WEB / "vendor" / f"LICENSE-{name}.txt").read_text().lower()
