// What a hierarchy decodes from the maps that are switched on, the others at their average code.
export default {
  render({ model, el }) {
    const view = new View(el, model), names = view.get("names"), sizes = view.get("sizes"), codes = view.get("codes");
    const shape = view.get("shape"), pixels = shape[0] * shape[1] * shape[2], count = view.get("count");
    const originals = view.bytes("originals"), decoded = view.bytes("pictures");
    const bits = view.get("bits"), errors = view.get("errors"), levels = names.length;
    const chosen = (on) => on.reduce((sum, value, i) => sum + (value ? 2 ** i : 0), 0);
    const switches = (number) => names.map((_, i) => Boolean(number & (2 ** i)));
    const listed = (on) => names.filter((_, i) => on[i]).join(" + ");
    const total = (on) => bits.reduce((sum, value, i) => sum + (on[i] ? value : 0), 0);
    let refused = "";

    const buttons = names.map((name, i) => {
      const mark = h("span", { class: "dot", "aria-hidden": "true" });
      const button = h("button", { type: "button", class: "chip", "aria-label": `${name} map` }, mark,
        `${name} ${sizes[i].join(" × ")}`);
      view.listen(button, "click", () => {
        const on = view.get("on").map((value, k) => (k === i ? !value : value));
        refused = on.some(Boolean) ? "" : "One map has to stay on. ";
        view.change({ on: refused ? view.get("on") : on });
      });
      view.controls.push(() => {
        const on = view.get("on")[i];
        button.setAttribute("aria-pressed", on);
        button.style.opacity = on ? 1 : 0.75;
        mark.style.background = on ? view.color.codebook : "transparent";
        mark.style.border = `2px solid ${on ? view.color.codebook : view.color.muted}`;
      });
      return button;
    });
    const rows = ["originals", "decoded"].map((caption) => view.strip({ caption, shape, count }));
    const orders = Array.from({ length: 2 ** levels - 1 }, (_, k) => k + 1);
    orders.sort((a, b) => total(switches(a)) - total(switches(b)));
    const lines = orders.map(() => h("tr"));
    const head = h("thead", {}, h("tr", {},
      ["maps that are on", "bits a picture", "mean squared error"].map((text) => h("th", { scope: "col" }, text))));
    view.body.append(
      h("div", { class: "options", role: "group", "aria-label": "maps that are on" }, buttons),
      rows[0].figure, rows[1].figure,
      h("div", { class: "row" }, h("table", {}, head, h("tbody", {}, lines)), h("div", { class: "grow" }, view.status)));

    return view.start(["on"], () => {
      const on = view.get("on"), now = chosen(on), offset = (now - 1) * count * pixels;
      rows[0].draw((i) => originals.subarray(i * pixels, (i + 1) * pixels));
      rows[0].describe(`${count} original pictures`);
      rows[1].draw((i) => decoded.subarray(offset + i * pixels, offset + (i + 1) * pixels));
      rows[1].describe(`the same ${count} pictures decoded from: ${listed(on)}`);
      orders.forEach((number, k) => {
        const mine = switches(number), values = [fixed(total(mine), 0), significant(errors[number - 1], 3)];
        lines[k].style.fontWeight = number === now ? "600" : "400";
        lines[k].setAttribute("aria-current", number === now);
        lines[k].replaceChildren(h("th", { scope: "row" }, listed(mine)), ...values.map((value) => h("td", {}, value)));
        for (const { style } of lines[k].children) {
          Object.assign(style, { fontWeight: "inherit", textAlign: "left", paddingRight: "16px" });
        }
      });
      const part = (name, i) => `${name} ${sizes[i][0] * sizes[i][1]} codes out of ${codes[i]}`;
      const parts = names.map(part).filter((_, i) => on[i]);
      view.say(`${refused}On: ${parts.join(", ")}; ${fixed(total(on), 0)} bits, `
        + `error ${significant(errors[now - 1], 3)}.`);
    });
  },
};
