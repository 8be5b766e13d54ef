// Keys for whoever decides all day; every page works without this file.
//
// An element takes part by an attribute: data-item (j and k move through these, o and Enter open the first link in
// it, x ticks its box), data-filter (/ goes there), data-key="a" (that key clicks it, or goes to it), data-go="i"
// (g i follows it). Nothing happens while somebody types, or holds Control, Alt or Meta.

"use strict";

(() => {
  const TYPED = "input:not([type=checkbox]):not([type=radio]):not([type=button]):not([type=submit]), textarea, select, [contenteditable]";
  const PRESSED = "a, button, summary, input, [role=button]"; // where Enter has a meaning of its own
  let leading = 0; // when g was pressed

  const items = () => [...document.querySelectorAll("[data-item]")].filter((one) => one.offsetParent !== null);
  const current = () => document.querySelector("[data-item].current");

  const goTo = (item) => {
    current()?.classList.remove("current");
    item.classList.add("current");
    const link = item.querySelector("a[href], input[type=checkbox], button, summary");
    if (link) link.focus({ preventScroll: true });
    else { item.tabIndex = -1; item.focus({ preventScroll: true }); }
    item.scrollIntoView({ block: "nearest" });
  };

  const move = (by) => {
    const all = items();
    if (!all.length) return false;
    const at = all.indexOf(current());
    goTo(all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)]);
    return true;
  };

  const press = (element) => {
    if (!element) return false;
    if (element.matches(TYPED)) { element.focus(); element.select?.(); } else element.click();
    return true;
  };

  const keys = {
    "?": () => { document.getElementById("keys")?.showModal(); return true; },
    "/": () => press(document.querySelector("[data-filter]")),
    j: () => move(1),
    k: () => move(-1),
    o: () => press(current()?.querySelector("a[href]")),
    x: () => press(current()?.querySelector("input[type=checkbox]")),
  };

  const act = (key, target) => {
    if (leading && Date.now() - leading < 1500) {
      leading = 0;
      return press(document.querySelector(`[data-go="${CSS.escape(key)}"]`));
    }
    if (key === "g") { leading = Date.now(); return true; }
    if (key === "Enter") return !target.closest?.(PRESSED) && keys.o();
    const own = document.querySelector(`[data-key="${CSS.escape(key)}"]:not([disabled])`);
    return own ? press(own) : keys[key]?.() ?? false;
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    if (event.target.closest?.(TYPED) || document.querySelector("dialog[open]")) return;
    if (act(event.key, event.target)) event.preventDefault();
  });

  // Whoever reaches an item by Tab or pointer goes on from there.
  document.addEventListener("focusin", (event) => {
    const item = event.target.closest?.("[data-item]");
    if (item && item !== current()) { current()?.classList.remove("current"); item.classList.add("current"); }
  });

  // What was typed before htmx listened is told to it: on a slow line the scripts come after the first keys.
  document.addEventListener("htmx:after:init", (event) => {
    const field = event.target.querySelector("[data-filter]");
    if (field && field.value !== field.defaultValue) field.dispatchEvent(new Event("input", { bubbles: true }));
  });

  // A box that ticks all the others of its form; without this file it would do nothing, so it is not there.
  for (const box of document.querySelectorAll("[data-all]")) box.closest("label").hidden = false;
  document.addEventListener("change", (event) => {
    const name = event.target.dataset?.all;
    if (!name) return;
    for (const box of event.target.form.querySelectorAll("input[type=checkbox]"))
      if (name.split(" ").includes(box.name)) box.checked = event.target.checked;
  });
})();
