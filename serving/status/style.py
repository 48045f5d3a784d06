"""Owns the status page's style, light and dark, narrow and wide, and the policy that lets in it alone."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

STYLE = """
:root { color-scheme: light dark; --ink: #1d2129; --soft: #5c6470; --line: #d9dde3; --page: #fff;
  --card: #f5f6f8; --good: #00694b; --bad: #a83e00; --link: #0060a0;
  --hue0: #0072b2; --hue1: #d55e00; --hue2: #009e73; --hue3: #b0578c; --hue4: #b87a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ee; --soft: #a3abb8; --line: #363c46;
  --page: #15181d; --card: #1e2229; --good: #4cc9a0; --bad: #ff9455; --link: #6cb8f0;
  --hue0: #56b4e9; --hue1: #ff8b3d; --hue2: #2fc79a; --hue3: #e3a5c7; --hue4: #f0bd4e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 72rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } a { color: var(--link); } p { margin: .3rem 0; }
h2 { font-size: 1.3rem; margin: 0; overflow-wrap: anywhere; } h2 + p, .soft { color: var(--soft); }
h3 { font-size: .95rem; margin: 1.25rem 0 .25rem; }
.verdict { border-left: .35rem solid var(--good); background: var(--card); padding: .6rem 1rem;
  margin: .75rem 0; border-radius: .25rem; overflow-wrap: anywhere; }
.verdict.bad { border-color: var(--bad); }
.bad-text { color: var(--bad); font-weight: 600; }
section { margin-top: 2rem; padding-top: 1.25rem; border-top: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; margin: .75rem 0; font-size: .92rem;
  font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 600; } td.number, th.number { text-align: right; white-space: nowrap; }
td.name { font-weight: 600; } td.wide, th.wide { padding-left: 1rem; }
code { font: .88em ui-monospace, "DejaVu Sans Mono", monospace; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: .15em; margin-right: .45em; }
.key.hue0 { background: var(--hue0); } .key.hue1 { background: var(--hue1); }
.key.hue2 { background: var(--hue2); } .key.hue3 { background: var(--hue3); }
.key.hue4 { background: var(--hue4); }
.plots { display: grid; gap: 1rem 1.75rem;
  grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); }
figure { margin: 0; } figcaption { font-size: .92rem; font-weight: 600; }
figcaption small { color: var(--soft); font-weight: 400; font-size: 1em; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 11px; }
svg .end { text-anchor: end; } .grid { stroke: var(--line); stroke-width: 1; stroke-dasharray: 2 4; }
.floor { stroke: var(--line); stroke-width: 1; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.dots { stroke-width: 4; stroke-linecap: round; } .dots.small { stroke-width: 2.5; }
.dashed { stroke-width: 1.3; stroke-dasharray: 3 3; }
path.hue0 { stroke: var(--hue0); } path.hue1 { stroke: var(--hue1); } path.hue2 { stroke: var(--hue2); }
path.hue3 { stroke: var(--hue3); } path.hue4 { stroke: var(--hue4); }
ol { list-style: none; margin: 0; padding: 0; font-size: .92rem; }
li { display: grid; grid-template-columns: 10.5rem 1fr max-content; gap: 0 1rem; padding: .3rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; } li time, li .who { color: var(--soft); }
li time { font-variant-numeric: tabular-nums; }
li small { display: block; color: var(--soft); font-size: 1em; }
footer { margin-top: 2rem; color: var(--soft); font-size: .92rem; }
@media (max-width: 44rem) {
  li { grid-template-columns: 1fr auto; } li div { grid-column: 1 / 3; grid-row: 2; }
  tr.head { display: none; }
  tr { display: grid; gap: 0 1rem; padding: .5rem 0;
    grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr));
    border-bottom: 1px solid var(--line); }
  td { border: 0; padding: .1rem 0; } td.name, td.wide { grid-column: 1 / -1; }
  td.number { text-align: left; } td.wide { padding-left: 0; }
  td[data-is]::before { content: attr(data-is) " "; color: var(--soft);
    font-family: system-ui, sans-serif; } }
"""

_DIGEST = b64encode(sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""The page runs nothing and asks for nothing: should something unescaped get into it, it stays dead."""
