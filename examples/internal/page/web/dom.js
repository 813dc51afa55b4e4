// All elements of the page are made here: text from a module stays text and
// never becomes markup.

const svgNamespace = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function element(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function drawing(name, attributes, ...children) {
  return fill(document.createElementNS(svgNamespace, name), attributes, children);
}

/** Sets a text only where it differs, so that a selection and a screen reader's position survive. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Orders the children with as few moves as possible, and keeps the focus. */
export function arrange(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  children.forEach((child, index) => {
    const there = parent.children[index];
    if (there === child) return;
    if (parent.moveBefore && child.parentNode === parent) parent.moveBefore(child, there ?? null);
    else parent.insertBefore(child, there ?? null);
  });
  if (focused && focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

const shapes = {
  working: "M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2zM7 11 3.9 7.9l1.2-1.2L7 8.6l3.9-3.9 1.2 1.2z",
  notice: "M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2zM7.1 4h1.8v1.8H7.1zm0 3.2h1.8V12H7.1z",
  trouble: "M8 .9 15.6 14.4H.4zM7.1 5.6l.3 4.4h1.2l.3-4.4zm.9 5.2a1 1 0 1 0 0 2 1 1 0 0 0 0-2z",
  down: "M5 1h6l4 4v6l-4 4H5l-4-4V5zm.6 3.4L4.4 5.6 6.8 8l-2.4 2.4 1.2 1.2L8 9.2l2.4 2.4 1.2-1.2L9.2 8l2.4-2.4-1.2-1.2L8 6.8z",
};

export const levels = ["working", "notice", "trouble", "down"];
export const levelNames = { working: "Working", notice: "Notice", trouble: "Trouble", down: "Down" };

/** A symbol with its own shape for each level, so that levels differ not only by colour. */
export class Sign {
  constructor() {
    this.path = drawing("path", { "fill-rule": "evenodd" });
    this.node = drawing("svg", { class: "sign", viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" }, this.path);
  }

  show(level) {
    setAttribute(this.path, "d", shapes[level] ?? shapes.notice);
  }
}
