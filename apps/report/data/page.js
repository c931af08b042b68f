"use strict";
document.querySelectorAll("thead button").forEach(button => button.addEventListener("click", () => {
  const head = button.parentElement, column = head.cellIndex, table = head.closest("table");
  const down = head.getAttribute("aria-sort") === "ascending", number = head.classList.contains("n");
  table.querySelectorAll("th[aria-sort]").forEach(th => th.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter(row => !row.classList.contains("heading"));
    const value = row => row.cells[column].dataset.value;
    rows.sort((a, b) => {
      const x = value(a), y = value(b);
      if (x === "" || y === "") return (x === "") - (y === "");  // absent last, either way
      const order = number ? x - y : x.localeCompare(y, undefined, {numeric: true});
      return down ? -order : order;
    });
    body.append(...rows);
  }
}));
// One stop of the Tab key a plot, arrows between its points.
document.querySelectorAll("figure").forEach(figure => {
  const points = [...figure.querySelectorAll(".point")], said = figure.querySelector(".said");
  points.forEach((point, i) => {
    const say = () => { said.textContent = point.getAttribute("aria-label"); };
    point.addEventListener("focus", say);
    point.addEventListener("pointerenter", say);
    point.addEventListener("click", say);
    point.addEventListener("keydown", event => {
      const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
      const next = event.key === "Home" ? 0 : event.key === "End" ? points.length - 1 : step ? i + step : -1;
      if (next < 0 || next >= points.length) return;
      event.preventDefault();
      point.tabIndex = -1;
      points[next].tabIndex = 0;
      points[next].focus();
    });
  });
});
addEventListener("beforeprint", () => document.querySelectorAll("details:not([id])").forEach(d => {
  if (d.querySelectorAll("tr").length < 400) d.open = true;
}));
