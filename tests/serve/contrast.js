// The texts that are shown with a contrast below 4.5 (WCAG 2.2, AA), as [contrast, text].
() => {
  const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => {
      const p = part / 255;
      return p <= 0.04045 ? p / 12.92 : ((p + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const [r, g, b, a = 1] = parts(getComputedStyle(one).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || !element.checkVisibility({ visibilityProperty: true })) continue;
    if (element.closest("[disabled], .unseen, .skip, noscript, option, script")) continue;
    const two = [luminance(parts(getComputedStyle(element).color)), luminance(ground(element))];
    two.sort((one, other) => other - one);
    const contrast = (two[0] + 0.05) / (two[1] + 0.05);
    if (contrast < 4.5) bad.push([contrast.toFixed(2), text.slice(0, 40), element.className]);
  }
  return bad;
};
