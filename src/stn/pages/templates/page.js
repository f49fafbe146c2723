"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// A table's rows by the numbers of a column; what has none comes last either way.
for (const button of all("thead th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const sign = head.ariaSort === "ascending" ? -1 : 1;
    for (const other of head.parentNode.cells) other.ariaSort = null;
    head.ariaSort = sign > 0 ? "ascending" : "descending";
    const body = head.closest("table").tBodies[0];
    const value = (row) => row.cells[head.cellIndex].dataset.value;
    const order = (a, b) =>
      (value(a) === "") - (value(b) === "") || sign * (value(a) - value(b));
    body.append(...[...body.rows].sort(order));
  });
}

// The address names the view that is open, so that it can be sent to somebody.
const open = (dialog) => {
  dialog.showModal();
  dialog.scrollTop = 0;
  history.replaceState(null, "", "#" + dialog.id);
};
for (const button of all("[data-opens]")) {
  button.addEventListener("click", () => open(document.getElementById(button.dataset.opens)));
}
for (const dialog of all("dialog")) {
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    if (!document.querySelector("dialog[open]")) history.replaceState(null, "", location.pathname + location.search);
  });
}
const openNamed = () => {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!(named instanceof HTMLDialogElement) || named.open) return;
  all("dialog[open]").forEach((other) => other.close());
  open(named);
};
addEventListener("hashchange", openNamed);
openNamed();

for (const gallery of all(".gallery")) {
  const [range, step] = [gallery.querySelector("input"), gallery.querySelector("output")];
  const frames = all("[data-step]", gallery);
  range.addEventListener("input", () => {
    frames.forEach((frame, i) => (frame.hidden = i !== Number(range.value)));
    step.value = range.ariaValueText = frames[range.value].dataset.step;
  });
}
