// Reconstructions through bottlenecks of several widths, and the error as the width grows.
export default {
  render({ model, el }) {
    const view = new View(el, model), widths = view.get("widths"), errors = view.get("errors");
    const shape = view.get("shape"), pixels = shape[0] * shape[1] * shape[2], count = view.get("count");
    const originals = view.bytes("originals"), rebuilt = view.bytes("reconstructions");
    const rows = ["originals x", "reconstructions x\u0302"].map((name) => view.strip({ label: name, shape, count }));
    const cells = ["numbers stored for a picture", "numbers in a picture", "mean squared error on the test set"]
      .map((name) => [name, h("td")]);
    const table = h("table", {}, h("tbody", {}, cells.map(([name, cell]) => h("tr", {}, h("th", { scope: "row" }, name), cell))));
    const curve = view.plot({ label: "error against width", height: 190 });
    const side = h("div", { class: "stack grow" }, table, view.status);
    const plotBox = h("div", { class: "grow" }, curve.canvas);
    const figure = (strip, caption) => h("figure", {}, strip.canvas, h("figcaption", {}, caption));
    view.body.append(
      view.slider({ label: "width m of the bottleneck", key: "m", values: widths, accent: "latent", format: (m) => `m = ${m}` }),
      figure(rows[0], "originals x"), figure(rows[1], "reconstructions g(f(x))"),
      h("div", { class: "row" }, plotBox, side));
    // The curve can be clicked as well: the nearest width is chosen.
    let toX = () => 0;
    view.listen(curve.canvas, "pointerdown", (event) => {
      const x = event.clientX - curve.canvas.getBoundingClientRect().left;
      view.change({ m: widths.reduce((a, b) => (Math.abs(toX(b) - x) < Math.abs(toX(a) - x) ? b : a)) });
    });
    const lowest = 0, highest = 1.08 * Math.max(...errors);
    return view.start(["m"], () => {
      const m = view.get("m"), index = widths.indexOf(m), offset = index * count * pixels;
      rows[0].draw((i) => originals.subarray(i * pixels, (i + 1) * pixels));
      rows[1].draw((i) => rebuilt.subarray(offset + i * pixels, offset + (i + 1) * pixels));
      rows[1].canvas.setAttribute("aria-label", `the same ${count} pictures rebuilt from ${m} numbers each`);
      rows[0].canvas.setAttribute("aria-label", `${count} original pictures`);
      const edge = widths.length > 1 ? [widths[0] / 1.15, widths.at(-1) * 1.15] : [m / 2, 2 * m];
      const { context, sx, sy } = axes(view, curve, {
        x: { range: edge, log: true, label: "width m", ticks: widths.map((value) => ({ value, text: String(value) })) },
        y: { range: [lowest, highest], label: "test MSE" }, left: 56,
      });
      toX = sx;
      context.strokeStyle = view.color.decoder;
      context.lineWidth = 2;
      line(context, widths.map((width, i) => [sx(width), sy(errors[i])]));
      widths.forEach((width, i) => dot(context, sx(width), sy(errors[i]), 3.5, view.color.decoder));
      context.lineWidth = 2;
      dot(context, sx(m), sy(errors[index]), 7, view.color.latent, view.color.ink);
      curve.describe(`Test error falls from ${significant(errors[0])} at m = ${widths[0]} to ${significant(errors.at(-1))} at m = ${widths.at(-1)}`);
      [m, pixels, significant(errors[index], 3)].forEach((value, i) => { cells[i][1].textContent = value; });
      view.say(`m = ${m}: ${fixed(pixels / m, pixels / m < 10 ? 1 : 0)} pixel values for every stored number, error ${significant(errors[index], 3)}.`);
    });
  },
};
