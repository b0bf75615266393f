"""Pages in headless Chromium: what it shows, what it says, and whether a page fits."""

import html
import re
import shutil
import subprocess

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")

MEASURE = """<script>
addEventListener("load", () => {
  const inside = document.querySelector("iframe").contentDocument;
  const page = inside.documentElement;
  const loaded = document.querySelector("iframe").contentWindow.performance.getEntriesByType("resource").length;
  document.title = [inside.title, page.clientWidth, page.scrollWidth <= page.clientWidth, loaded].join("|");
});
</script>"""


def run_chromium(page, profile, *arguments):
    assert page.exists()  # of a page that is not there Chromium prints nothing, and says that all is well
    # no sandbox: in CI this may be root, and the page is our own
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += [f"--user-data-dir={profile}", *arguments, page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, timeout=120)


def in_chromium(page, profile, *arguments):
    """What Chromium prints."""
    return run_chromium(page, profile, *arguments).stdout


def console(page, profile):
    """What the page says on its console, errors included."""
    said = run_chromium(page, profile, "--enable-logging=stderr", "--dump-dom").stderr.decode(errors="replace")
    return [line for line in said.splitlines() if "CONSOLE" in line]


def measured(text, folder, width):
    """Title, width, whether nothing stands out to the right, and how many files were loaded, in a frame so wide.

    A frame, as the browser's own window is never narrower than 500 pixels.
    """
    outer = folder / f"frame-{width}.html"
    frame = f'<iframe srcdoc="{html.escape(text)}" style="border:0" width="{width}" height="900"></iframe>'
    outer.write_text(f"<!doctype html><meta charset=utf-8><title>not loaded</title><body>{frame}{MEASURE}")
    shown = in_chromium(
        outer, folder / f"profile-{width}", "--window-size=1400,1000", "--hide-scrollbars", "--dump-dom"
    ).decode()
    title = re.search("<title>(.*?)</title>", shown)[1].split("|")
    return title[0], int(title[1]), title[2] == "true", int(title[3])


def pages_on_paper(page, folder):
    """How many sheets it prints on."""
    paper = folder / "page.pdf"
    in_chromium(page, folder / "profile-paper", f"--print-to-pdf={paper}")
    return len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes()))
