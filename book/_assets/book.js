// Repairs to the theme's own markup, once the page is read.
document.addEventListener("DOMContentLoaded", () => {
  // The book's title stands outside every landmark; a screen reader's user would not meet it.
  const logo = document.querySelector(".sidebar-primary-items__start > .sidebar-primary-item:has(.navbar-brand)");
  logo?.setAttribute("role", "navigation");
  logo?.setAttribute("aria-label", "Book");

  // The list of references is marked as a list whose entries are not marked as its items.
  for (const entry of document.querySelectorAll(".citation-list > .citation")) entry.setAttribute("role", "listitem");

  // Boxes that scroll sideways are reachable by keyboard.
  const reach = () => {
    for (const box of document.querySelectorAll(".bd-article :is(.cell_output, div.math, mjx-container, .pst-scrollable-table-container, .ae-diagram-figure, pre)")) {
      if (box.scrollWidth > box.clientWidth + 1 && !box.querySelector("[tabindex='0']")) box.tabIndex = 0;
    }
  };
  window.addEventListener("resize", reach);

  // In a derivation the reasons stand in the last of four columns; narrow screens show each below its line (book.css).
  const reasons = () => {
    for (const row of document.querySelectorAll("mjx-itable > mjx-mtr:first-child")) {
      const cells = row.children;
      if (cells.length !== 4 || cells[2].querySelector("mjx-c")) continue;
      for (let t = row.closest("mjx-mtable"); t; t = t.parentElement.closest("mjx-mtable")) t.classList.add("ae-derivation");
    }
  };
  window.addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    reasons();
    reach();
  });
});
