// The least contrast of a text that is seen with what is behind it, and the text (WCAG 2, relative luminance).
() => {
  const numbers = colour => (colour.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const linear = v => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const opaque = c => c.length < 4 || c[3] > 0.9;
  const behind = e => {
    for (; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (opaque(colour)) return colour;
    }
    return [255, 255, 255];
  };
  const hasText = e => [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.textContent.trim());
  let least = 21, where = "";
  for (const e of document.querySelectorAll("p, li, h1, h2, h3, td, th, dt, dd, figcaption, summary")) {
    if (!e.getClientRects().length || getComputedStyle(e).visibility === "hidden" || !hasText(e)) continue;
    const ink = numbers(getComputedStyle(e).color), paper = behind(e), share = ink.length < 4 ? 1 : ink[3];
    const mixed = ink.slice(0, 3).map((v, k) => share * v + (1 - share) * paper[k]);
    const [bright, dark] = [luminance(mixed), luminance(paper)].sort((p, q) => q - p);
    const ratio = (bright + 0.05) / (dark + 0.05);
    if (ratio < least) [least, where] = [ratio, e.textContent.trim().slice(0, 40)];
  }
  return [least, where];
}
