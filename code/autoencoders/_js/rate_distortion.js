// Models in the plane of rate and distortion; a price for a nat of rate chooses among them, and their pictures are shown.
export default {
  render({ model, el }) {
    const view = new View(el, model), names = view.get("names"), rates = view.get("rates"), wrong = view.get("distortions");
    const shape = view.get("shape"), pixels = shape[0] * shape[1] * shape[2], count = view.get("count");
    const others = view.get("others"), originals = view.bytes("originals");
    const pictures = { reconstructions: view.bytes("reconstructions"), samples: view.bytes("samples") };
    const rows = ["originals", "reconstructions", "decoded draws from N(0, I)"]
      .map((caption) => view.strip({ caption, shape, count }));
    const readings = view.readings(["rate", "distortion", "distortion + price × rate"]);
    const plane = view.plot({ label: "rate and distortion", height: 260 });
    const cost = (i) => wrong[i] + view.get("price") * rates[i];
    const best = (price) => names.reduce((a, _, i) =>
      (wrong[i] + price * rates[i] < wrong[a] + price * rates[a] ? i : a), 0);
    const format = (price) => `β = ${significant(price, 2)}`;
    view.body.append(
      view.slider({ label: "price of a nat of rate", key: "price", values: view.get("prices"), accent: "prior", format,
        write: (price) => view.change({ price, index: best(price) }) }),
      h("div", { class: "row" },
        h("div", { class: "grow" }, plane.canvas), h("div", { class: "stack grow" }, readings.table, view.status)),
      view.choice({ label: "or take a model", key: "index", options: names.map((name, i) => [i, name]) }),
      ...rows.map((row) => row.figure));
    let at = [];
    view.listen(plane.canvas, "pointerdown", (event) => {
      const box = plane.canvas.getBoundingClientRect();
      const far = ([x, y]) => Math.hypot(x - event.clientX + box.left, y - event.clientY + box.top);
      view.change({ index: at.reduce((a, point, i) => (far(point) < far(at[a]) ? i : a), 0) });
    });
    const farthest = 1.06 * Math.max(...rates, ...others.map(([rate]) => rate));
    const highest = 1.08 * Math.max(...wrong, ...others.map(([, distortion]) => distortion));

    return view.start(["price", "index"], () => {
      const index = view.get("index"), price = view.get("price"), total = cost(index);
      const { context, sx, sy, box } = axes(view, plane, {
        x: { range: [0, farthest], label: "rate, nats a digit" }, y: { range: [0, highest], label: "distortion, nats" },
      });
      context.save();
      context.beginPath();
      context.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
      context.clip();
      context.strokeStyle = view.color.prior;
      context.lineWidth = 2;
      context.setLineDash([6, 4]);  // all places that cost the same
      line(context, [[sx(0), sy(total)], [sx(farthest), sy(total - price * farthest)]]);
      context.restore();
      context.setLineDash([]);
      others.forEach(([rate, distortion]) => dot(context, sx(rate), sy(distortion), 2.5, view.color.prior));
      at = rates.map((rate, i) => [sx(rate), sy(wrong[i])]);
      at.forEach(([x, y]) => dot(context, x, y, 5, view.color.decoder));
      context.lineWidth = 2;
      dot(context, ...at[index], 8, view.color.latent, view.color.ink);
      rows[0].draw((i) => originals.subarray(i * pixels, (i + 1) * pixels));
      ["reconstructions", "samples"].forEach((kind, row) => rows[row + 1].draw((i) =>
        pictures[kind].subarray((index * count + i) * pixels, (index * count + i + 1) * pixels)));
      rows[0].describe(`${count} original pictures`);
      rows[1].describe(`the same pictures rebuilt by the model ${names[index]}`);
      rows[2].describe(`${count} draws from the prior, decoded by the model ${names[index]}`);
      readings.write(`${fixed(rates[index], 1)} nats`, `${fixed(wrong[index], 1)} nats`, `${fixed(total, 1)} nats`);
      plane.describe(`${names.length} models by rate and distortion; chosen is ${names[index]}`);
      const winner = best(price);
      view.say(winner === index ? `At ${format(price)} no model here costs less than ${names[index]}.`
        : `At ${format(price)} ${names[winner]} costs ${fixed(total - cost(winner), 1)} nats less than ${names[index]}.`);
    });
  },
};
