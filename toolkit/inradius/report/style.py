"""The page's frame and look."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5d6675; --paper: #fff; --tint: #f5f6f8; --line: #dfe3e8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --soft: #9aa4b2; --paper: #14181f; --tint: #1d232c; --line: #323a46; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.25; }
h2 { margin: 2.5rem 0 .6rem; font-size: 1.15rem; }
h3 { margin: 0; font-size: .85rem; font-weight: 600; color: var(--soft); }
p { margin: .4rem 0; }
code { font: .88em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.sentence { margin-top: 1.4rem; font-size: 1.2rem; }
.bar { display: block; width: 100%; margin: 1.2rem 0 .2rem; fill: var(--ink); font-size: 14px; font-weight: 600; }
.bar .tick { fill: var(--soft); font-size: 12px; font-weight: 400; }
.bar .arm { stroke: var(--ink); stroke-width: 2; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: 1rem; margin: 1.2rem 0; }
.card { padding: .9rem 1.1rem; background: var(--tint); border-left: 4px solid; border-radius: 4px; }
.card p { margin: 0; font-size: .85rem; color: var(--soft); }
.card .value { font-size: 2rem; line-height: 1.3; font-weight: 650; color: var(--ink); font-variant-numeric: tabular-nums; }
.counts { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; margin: 0; padding: 0; list-style: none; font-size: .9rem; }
.counts i { display: inline-block; width: .75rem; height: .75rem; margin-right: .4rem; border-radius: 2px; }
.doubts { padding: .6rem 1.1rem; border-left: 4px solid #d55e00; border-radius: 4px; background: var(--tint); }
.doubts ul { margin: .3rem 0; padding-left: 1.2rem; }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th { font-weight: 600; color: var(--soft); border-bottom: 2px solid var(--line); vertical-align: bottom; }
th, td { padding: .4rem .7rem .4rem 0; text-align: right; white-space: nowrap; }
td { border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
td:first-child { white-space: normal; }
.meter { display: flex; width: 10rem; height: .8rem; margin-left: auto; overflow: hidden; border-radius: 2px; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1.2rem; }
figure { margin: 0; }
figure img { width: 31%; margin-right: 2%; image-rendering: pixelated; border-radius: 3px; }
figcaption { font-size: .82rem; color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: 0; font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
</style>
</head>
<body>
<header>
<h1>$subject</h1>
<p class="soft">perturbations in <code>$threat</code>$convention</p>
</header>
<p class="sentence">$sentence</p>
$bar
<div class="cards">$cards</div>
<ul class="counts">$counts</ul>
$doubts
<section><h2>Attacks: from above</h2>$attacks</section>
$kills
<section><h2>Certifiers: from below</h2>$certifiers</section>
<section><h2>Audit</h2><p>$audit</p></section>
$classes
$gallery
<section><h2>What was asked</h2><dl>$setting</dl></section>
<section><h2>Where it ran</h2><dl>$environment</dl></section>
<footer class="soft"><p>Every example is in examples.csv and report.json beside this page.</p></footer>
</body>
</html>
"""
