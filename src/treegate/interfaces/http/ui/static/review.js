// What was ticked stays ticked while rows come and go: ids that are out of sight are kept as hidden fields of the form.
"use strict";
(() => {
  const form = document.getElementById("decision");
  if (!form) return;
  const ticked = new Set();
  const boxes = (within) => within.querySelectorAll('input[type="checkbox"][name="leave"]');
  const approve = document.querySelector('.bar button[data-key="a"]');
  const keep = () => {
    if (approve) {  // nobody approves what they mean to leave out
      approve.disabled = ticked.size > 0;
      approve.title = ticked.size ? "First leave out what is ticked, or untick it" : "";
    }
    const visible = new Set([...boxes(document)].map((box) => box.value));
    const wanted = [...ticked].filter((id) => !visible.has(id));
    const kept = [...form.querySelectorAll("input[data-kept]")];
    if (wanted.join() === kept.map((field) => field.value).join()) return;
    kept.forEach((field) => field.remove());
    for (const id of wanted) {
      const field = Object.assign(document.createElement("input"), { type: "hidden", name: "leave", value: id });
      field.dataset.kept = "";
      form.append(field);
    }
  };
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (!box.matches || !box.matches('input[type="checkbox"][name="leave"]')) return;
    if (box.checked) ticked.add(box.value); else ticked.delete(box.value);
    for (const other of boxes(document)) if (other.value === box.value) other.checked = box.checked;
    keep();
  });
  new MutationObserver(() => {
    for (const box of boxes(document)) if (ticked.has(box.value)) box.checked = true;
    keep();
  }).observe(document.getElementById("main"), { childList: true, subtree: true });
  document.addEventListener("error", (event) => {  // there is no picture of it: its frame says so, quietly
    const image = event.target;
    if (image.matches && image.matches(".picture img")) image.replaceWith("no picture");
  }, true);
})();
