
"use strict";
(() => {
  const controls = [...document.querySelectorAll("[data-filter]")];
  const rows = [...document.querySelectorAll(".row")];
  const groups = [...document.querySelectorAll("tr.group")];
  const shown = document.querySelector("[data-shown]");
  const fits = (row, control) => {
    const wanted = control.value.trim().toLowerCase();
    const own = (row.dataset[control.dataset.filter] || "").toLowerCase();
    if (!wanted) return true;
    return control.tagName === "SELECT" ? own.split(" ").includes(wanted) : own.includes(wanted);
  };
  const apply = () => {
    let count = 0;
    for (const row of rows) {
      row.hidden = !controls.every((control) => fits(row, control));
      if (!row.hidden) count += 1;
    }
    for (const group of groups) {
      let next = group.nextElementSibling;
      let empty = true;
      while (next && !next.classList.contains("group")) {
        if (!next.hidden) empty = false;
        next = next.nextElementSibling;
      }
      group.hidden = empty;
    }
    if (shown) shown.textContent = count === rows.length ? "" : `${count} of ${rows.length} lines`;
  };
  for (const control of controls) control.addEventListener("input", apply);
  apply();
})();
