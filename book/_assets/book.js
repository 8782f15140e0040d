// Accessibility repairs of the theme's own markup, once the page is read.
document.addEventListener("DOMContentLoaded", () => {
});
