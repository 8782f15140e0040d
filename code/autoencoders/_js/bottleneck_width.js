// Reconstructions through bottlenecks of several widths, and the error as the width grows.
export default {
  render({ model, el }) {
    const view = new View(el, model), widths = view.get("widths"), errors = view.get("errors");
    const shape = view.get("shape"), pixels = shape[0] * shape[1] * shape[2], count = view.get("count");
    const originals = view.bytes("originals"), rebuilt = view.bytes("reconstructions");
    const rows = ["originals x", "reconstructions g(f(x))"].map((caption) => view.strip({ caption, shape, count }));
    const names = ["numbers stored for a picture", "numbers in a picture", "mean squared error on the test set"];
    const readings = view.readings(names);
    const curve = view.plot({ label: "error against width", height: 190 });
    const side = h("div", { class: "stack grow" }, readings.table, view.status);
    const plotBox = h("div", { class: "grow" }, curve.canvas);
    const format = (m) => `m = ${m}`;
    view.body.append(
      view.slider({ label: "width m of the bottleneck", key: "m", values: widths, accent: "latent", format }),
      rows[0].figure, rows[1].figure,
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
      rows[0].describe(`${count} original pictures`);
      rows[1].describe(`the same ${count} pictures rebuilt from ${m} numbers each`);
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
      const end = (k) => `${significant(errors.at(k))} at m = ${widths.at(k)}`;
      curve.describe(`Test error against the width: ${end(0)}, ${end(-1)}`);
      const error = significant(errors[index], 3), ratio = fixed(pixels / m, pixels / m < 10 ? 1 : 0);
      readings.write(m, pixels, error);
      view.say(`m = ${m}: ${ratio} pixel values for every stored number, error ${error}.`);
    });
  },
};
