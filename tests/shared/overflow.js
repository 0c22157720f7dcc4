// What is wider than its place, and neither scrolls nor lies within something that scrolls.
() => {
  const parts = ["pre", "pre > code", "table", "img", "svg"];
  const places = ["article", "main", "body >"];
  const overflow = e => getComputedStyle(e).overflowX;
  const scrolls = e => ["auto", "scroll"].includes(overflow(e));
  const inside = e => {
    for (let p = e.parentElement; p; p = p.parentElement) if (scrolls(p)) return true;
    return false;
  };
  const hidden = e => getComputedStyle(e).visibility === "hidden" || !e.getClientRects().length;
  const named = e => `${e.tagName.toLowerCase()} "${e.textContent.trim().slice(0, 40)}"`;
  const found = [];
  const beyond = document.documentElement.scrollWidth - window.innerWidth;
  if (beyond > 1) found.push(`the page is ${beyond} px too wide`);
  const chosen = places.flatMap(place => parts.map(part => `${place} ${part}`)).join(", ");
  for (const e of document.querySelectorAll(chosen)) {
    if (hidden(e) || inside(e)) continue;
    const end = Math.round(e.getBoundingClientRect().right);
    if (end > window.innerWidth + 1 && !scrolls(e)) found.push(`${named(e)} ends at ${end} px`);
    if (e.scrollWidth > e.clientWidth + 1 && ["hidden", "clip"].includes(overflow(e))) found.push(`${named(e)} is clipped`);
  }
  return found;
}
