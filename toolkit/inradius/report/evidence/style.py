"""The frame and look of the page of evidence, made for paper."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
@page { size: A4; margin: 18mm 16mm; }
:root { color-scheme: light; --ink: #1d2430; --soft: #4d5563; --line: #c9cfd8; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 3rem; max-width: 60rem; background: #fff; color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { margin: 0 0 .3rem; font-size: 1.5rem; line-height: 1.25; }
h2 { margin: 1.8rem 0 .5rem; font-size: 1.1rem; break-after: avoid; }
p { margin: .4rem 0; }
code, pre { font: .85em/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
pre { margin: .4rem 0; padding: .7rem .9rem; border: 1px solid var(--line); white-space: pre-wrap; }
.soft { color: var(--soft); }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--line); vertical-align: bottom; }
th, td { padding: .3rem .6rem .3rem 0; text-align: left; }
td { overflow-wrap: break-word; }
.wide td:first-child { overflow-wrap: anywhere; }
td { border-bottom: 1px solid var(--line); vertical-align: top; }
tr, pre, .sign { break-inside: avoid; }
thead { display: table-header-group; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: 0; font-size: .88rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.sign { display: grid; grid-template-columns: repeat(3, 1fr); gap: 2rem; margin-top: 3.5rem; }
.sign p { border-top: 1px solid var(--ink); padding-top: .2rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 40rem) { dl, .sign { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
@media print { body { padding: 0; max-width: none; font-size: 10.5pt; } .wide { overflow: visible; } }
</style>
</head>
<body>
<h1>Evidence of robustness</h1>
<p>$subject</p>
<p class="soft">Reported $reported. The numbers hold for these examples; the intervals are for the population that they were drawn
from, where they were drawn at random.</p>
<h2>Declared</h2>$declared
<h2>Found</h2>$results
<h2>What the claims mean</h2><dl>$claims</dl>
<h2>Test conditions</h2><dl>$conditions</dl>
<h2>Methods</h2>$methods
<h2>By class</h2>$classes
<h2>Audit</h2><dl>$audit</dl>
<h2>Reasons for doubt</h2>$doubts
<h2>Hashes (SHA-256)</h2><dl>$hashes</dl>
<h2>Environment</h2><dl>$environment</dl>
<h2>The same again</h2><pre>$command</pre><p class="soft">$note</p>
<div class="sign"><p>date</p><p>name and function</p><p>signature</p></div>
<p class="soft">Every example, with its certificate and the hash of the perturbation that breaks it, is in evidence.json beside this
page.</p>
</body>
</html>
"""
