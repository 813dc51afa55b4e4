// Finds faults that keep people from reading or using the page. Its value is their list.
(() => {
  const faults = [];
  const visible = (node) => node.checkVisibility({ visibilityProperty: true }) && node.getClientRects().length > 0;
  const describe = (node) => `<${node.tagName.toLowerCase()}${node.id ? " #" + node.id : ""}${typeof node.className === "string" && node.className ? " ." + node.className : ""}> ${node.textContent.trim().slice(0, 40)}`;

  // Contrast of each text to its background, by WCAG 2: 4.5, or 3 for large text.
  const channels = (text) => {
    const numbers = text.match(/-?[\d.]+(e-?\d+)?/g).map(Number);
    if (text.startsWith("color(srgb")) return [numbers[0] * 255, numbers[1] * 255, numbers[2] * 255, numbers[3] ?? 1];
    if (!text.startsWith("rgb")) throw new Error("a colour that the test cannot read: " + text);
    return [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1];
  };
  const over = (top, bottom) => [0, 1, 2].map((i) => top[i] * top[3] + bottom[i] * (1 - top[3])).concat(1);
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((bottom, top) => over(top, bottom), [255, 255, 255, 1]);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let measured = 0;
  while (texts.nextNode()) {
    const parent = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !visible(parent) || parent.closest(".hidden, noscript, option")) continue;
    measured += 1;
    const style = getComputedStyle(parent);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const behind = ground(parent);
    const found = contrast(over(channels(style.color), behind), behind);
    if (found < least) faults.push(`contrast ${found.toFixed(2)} of ${describe(parent)}`);
  }
  if (measured < 50) faults.push(`only ${measured} texts were measured`);

  // Contrast of symbols and borders of controls: 3.
  for (const sign of document.querySelectorAll(".sign")) {
    if (!visible(sign)) continue;
    const behind = ground(sign.parentElement);
    const found = contrast(channels(getComputedStyle(sign).color), behind);
    if (found < 3) faults.push(`contrast ${found.toFixed(2)} of a sign in ${describe(sign.parentElement)}`);
  }
  for (const control of document.querySelectorAll("input[type=search], select")) {
    const found = contrast(channels(getComputedStyle(control).borderTopColor), ground(control.parentElement));
    if (found < 3) faults.push(`contrast ${found.toFixed(2)} of the border of ${control.name}`);
  }

  // Headings: one of the first level, and no level left out.
  let before = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    if (!visible(heading)) continue;
    const level = Number(heading.tagName[1]);
    if (level > before + 1) faults.push(`h${level} after h${before}: ${describe(heading)}`);
    if (!heading.textContent.trim()) faults.push(`a heading without text: ${describe(heading)}`);
    before = level;
  }
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
  for (const landmark of ["header", "main", "footer", "[role=search]"]) {
    if (document.querySelectorAll(`body > ${landmark}, main > ${landmark}`).length !== 1) faults.push(`not one ${landmark}`);
  }

  // Names, and enough size for a finger.
  const name = (node) => {
    const labelled = node.getAttribute("aria-labelledby");
    if (labelled) return labelled.split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
    return node.getAttribute("aria-label") ?? ([...(node.labels ?? [])].map((label) => label.textContent).join(" ") || (node.matches("a, button, summary") ? node.textContent : ""));
  };
  for (const control of document.querySelectorAll("a, button, input, select, summary, [tabindex='0']")) {
    if (!visible(control)) continue;
    if (!name(control).trim()) faults.push(`without a name: ${describe(control)}`);
    const box = control.getBoundingClientRect();
    if (!control.matches(".skip") && (box.height < 23.5 && getComputedStyle(control).display !== "inline" || box.width < 24)) faults.push(`${box.width} x ${box.height}: ${describe(control)}`);
  }
  for (const picture of document.querySelectorAll("[role=img], [role=region], fieldset, section, article, table")) {
    if (!visible(picture)) continue;
    const caption = picture.querySelector(":scope > legend, :scope > caption");
    if (!name(picture).trim() && !caption?.textContent.trim()) faults.push(`without a name: ${describe(picture)}`);
  }
  for (const picture of document.querySelectorAll("svg")) {
    if (!picture.closest("[aria-hidden=true]") && picture.getAttribute("role") !== "img") faults.push(`a drawing that is neither hidden nor named: ${picture.outerHTML.slice(0, 80)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`two of the id ${id}`);
  if (!document.documentElement.lang) faults.push("no language");

  // A live region must not contain changing numbers.
  const live = [...document.querySelectorAll("[aria-live], [role=alert], [role=status], [role=log]")];
  for (const node of live) if (node.querySelector(".figure, .since, .plot")) faults.push(`numbers in what is told: ${describe(node)}`);

  if (document.documentElement.scrollWidth > innerWidth) faults.push(`${document.documentElement.scrollWidth} wide on ${innerWidth}`);
  return faults;
})()
