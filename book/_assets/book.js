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
    for (const box of document.querySelectorAll(".bd-article :is(.cell_output, div.math, .pst-scrollable-table-container, .ae-diagram-figure, pre)")) {
      if (box.scrollWidth > box.clientWidth + 1 && !box.querySelector("[tabindex='0']")) box.tabIndex = 0;
    }
  };
  window.addEventListener("load", reach);
  window.addEventListener("resize", reach);
});
