"""Makes the README's pictures: `docs/screenshots.py churn up.log` beside a running `evertrain up > up.log`.

The pipeline must have been trained twice, so that a champion was challenged. Needs Chromium.
"""

from __future__ import annotations

import html
import io
import json
import re
import shutil
import sys
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent / "images"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
)
SIDEBAR = 256
COLOURS = 64
TERMINAL = (
    "margin:0;padding:16px;width:max-content;background:#1e1e2e;color:#d8dee9;font:13px/1.45 DejaVu Sans Mono"
)


def ask(url: str, body: dict[str, Any]) -> Any:
    """Ask Prefect's API."""
    request = urllib.request.Request(  # noqa: S310 - the server that `up` printed
        url, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
        return json.loads(reply.read())


def keep(page: Page, name: str, *, left: int = SIDEBAR, top: int = 0, height: int = 700) -> None:
    """Write a part of the page as it is now, in few colours."""
    page.wait_for_timeout(2500)  # what fades or slides in has no end that could be awaited
    width = page.viewport_size["width"] if page.viewport_size else 0
    shot = page.screenshot(clip={"x": left, "y": top, "width": width - left, "height": height})
    target = FOLDER / f"{name}.png"
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS).save(target, optimize=True)
    sys.stdout.write(f"{target}: {target.stat().st_size / 1024:.0f} KB\n")


def picture_form(page: Page, prefect: str, pipeline: str) -> None:
    """The form of a custom run, filled in."""
    found = ask(f"{prefect}/api/deployments/filter", {"deployments": {"name": {"any_": [pipeline]}}})
    [training] = [each for each in found if each["entrypoint"].endswith("training_flow")]
    page.goto(f"{prefect}/v2/deployments/deployment/{training['id']}/run")
    page.get_by_text("MM/DD/YYYY").click()
    page.get_by_label("Choose the Year").select_option("2024")
    page.get_by_label("Choose the Month").select_option("Oct")
    page.get_by_role("button", name="October 1st, 2024").click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Add item").click()
    page.get_by_role("textbox").last.fill("training.params.C=0.5")
    keep(page, "form", height=700)


def picture_run(page: Page, prefect: str, pipeline: str) -> None:
    """The newest training: what its steps said, its tasks, its gates; and its page in MLflow."""
    asked = {
        "flows": {"name": {"any_": ["training"]}},
        "flow_runs": {
            "state": {"type": {"any_": ["COMPLETED"]}},
            "name": {"like_": f"{pipeline} "},
        },
        "sort": "START_TIME_DESC",
    }
    run = f"{prefect}/v2/runs/flow-run/{ask(f'{prefect}/api/flow_runs/filter', asked)[0]['id']}"
    page.goto(run)
    page.get_by_text("promote: ").wait_for()
    tabs = page.get_by_role("tablist").bounding_box()
    top = int(tabs["y"]) - 8 if tabs else 0
    page_height = page.viewport_size["height"] if page.viewport_size else 0
    keep(page, "run", top=top, height=page_height - top)
    page.get_by_role("tab", name="Task Runs").click()
    page.get_by_role("tabpanel", name="Task Runs").get_by_text("promote").wait_for()
    keep(page, "tasks", top=top, height=page_height - top)
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text(f"{pipeline}-gates").click()
    page.get_by_text("beats_champion").wait_for()
    keep(page, "gates", height=420)
    page.goto(run)
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text(f"{pipeline}-mlflow-run").click()
    address = page.get_by_role("link", name="The run in MLflow").get_attribute("href")
    assert address is not None, "`up` serves MLflow's pages"
    page.goto(address)
    page.get_by_text("roc_auc_low").first.wait_for()
    page.get_by_role("button", name="Close", exact=True).click()
    keep(page, "mlflow", left=198, height=640)


def picture_terminal(page: Page, log: str) -> None:
    """What `up` printed."""
    words = html.escape(f"$ evertrain up\n{log}")
    page.set_content(f'<body style="margin:0"><pre style="{TERMINAL}">{words}</pre>')
    box = page.locator("pre").bounding_box()
    assert box is not None
    page.set_viewport_size({"width": int(box["width"]), "height": int(box["height"])})
    keep(page, "up", left=0, height=int(box["height"]))


def main(pipeline: str, log_file: str) -> None:
    """Make all of them."""
    FOLDER.mkdir(exist_ok=True)
    log = Path(log_file).read_text()
    found = re.search(r"^Prefect +(http\S+)", log, flags=re.MULTILINE)
    assert found is not None, f"{log_file} isn't what `evertrain up` printed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS.split())
        page = browser.new_page(viewport={"width": 1240, "height": 1100})
        page.set_default_timeout(120_000)
        picture_form(page, found[1], pipeline)
        picture_run(page, found[1], pipeline)
        picture_terminal(page, log)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
