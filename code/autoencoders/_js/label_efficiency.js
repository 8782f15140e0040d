// Accuracy against the number of labels for several codes, and the classes that are read in a few pictures at this number.
export default {
  render({ model, el }) {
    const view = new View(el, model), names = view.get("names"), counts = view.get("counts"), answers = view.get("answers");
    const shape = view.get("shape"), pixels = shape[0] * shape[1] * shape[2], images = view.bytes("images");
    const glyphs = view.get("glyphs"), kinds = view.get("readers");
    const plot = view.plot({ label: "accuracy against labels", height: 280 });
    const pictures = answers.map((answer) => h("canvas", { class: "picture", role: "img", width: shape[1], height: shape[0],
      "aria-label": `a test picture of ${glyphs[answer]}` }));
    const marks = names.map(() => h("span", { class: "bar", "aria-hidden": "true" }));
    const shares = names.map(() => h("td")), cells = names.map(() => answers.map(() => h("td")));
    const tight = (cell) => { cell.style.cssText += "padding: 2px; text-align: center;"; return cell; };
    const head = h("tr", {}, h("th", { scope: "col" }, "code"), tight(h("td", {}, "right")),
      pictures.map((picture) => tight(h("td", {}, picture))));
    const rows = names.map((name, i) => {
      const title = h("th", { scope: "row" }, h("span", { class: "key" }, marks[i], name));
      title.style.paddingRight = "4px";
      return h("tr", {}, title, tight(shares[i]), cells[i].map(tight));
    });
    const table = h("table", {}, h("thead", {}, head), h("tbody", {}, rows));
    table.style.cssText = "width: 100%; table-layout: auto; font-size: 13px;";
    view.body.append(
      view.slider({ label: "labels", key: "labels", values: counts, accent: "encoder" }),
      view.choice({ label: "reader", key: "reader", options: kinds.map((kind, i) => [i, kind]) }),
      plot.canvas, table, view.status);

    return view.start(["labels", "reader"], () => {
      const reader = view.get("reader"), at = counts.indexOf(view.get("labels"));
      const middle = view.get("middle")[reader], low = view.get("low")[reader], high = view.get("high")[reader];
      const colors = names.map((_, i) => view.color.classes[i % 10]);
      const { context, sx, sy, box } = axes(view, plot, {
        x: { range: [counts[0], counts.at(-1)], log: true, label: "labels",
          ticks: counts.map((value) => ({ value, text: String(value) })) },
        y: { range: [0, 1], label: "share read right" }, right: 18,
      });
      names.forEach((_, i) => {
        context.globalAlpha = 0.15;
        context.fillStyle = colors[i];
        context.beginPath();
        counts.forEach((n, k) => context.lineTo(sx(n), sy(high[i][k])));
        [...counts.keys()].reverse().forEach((k) => context.lineTo(sx(counts[k]), sy(low[i][k])));
        context.fill();
        context.globalAlpha = 1;
        context.strokeStyle = colors[i];
        context.lineWidth = 2;
        line(context, counts.map((n, k) => [sx(n), sy(middle[i][k])]));
        dot(context, sx(counts[at]), sy(middle[i][at]), 5, colors[i], view.color.paper);
      });
      context.strokeStyle = view.color.muted;
      context.lineWidth = 1;
      context.setLineDash([4, 4]);
      line(context, [[sx(counts[at]), box.top], [sx(counts[at]), box.bottom]]);
      context.setLineDash([]);
      pictures.forEach((canvas, i) => view.paint(canvas, shape, images.subarray(i * pixels, (i + 1) * pixels)));
      const right = names.map((_, i) => {
        const read = view.get("readings")[reader][i][at];
        marks[i].style.background = colors[i];
        shares[i].textContent = fixed(middle[i][at], 2);
        cells[i].forEach((cell, k) => {
          const wrong = read[k] !== answers[k];
          cell.textContent = wrong ? `${glyphs[read[k]]}\u00d7` : glyphs[read[k]];
          cell.style.color = wrong ? view.color.ink : view.color.muted;
          cell.style.boxShadow = wrong ? `inset 0 -3px ${view.color.posterior}` : "none";
          cell.setAttribute("aria-label", wrong ? `${glyphs[read[k]]}, wrong` : glyphs[read[k]]);
        });
        return read.filter((c, k) => c === answers[k]).length;
      });
      const best = middle.reduce((a, curve, i) => (curve[at] > middle[a][at] ? i : a), 0);
      plot.describe(`accuracy of ${names.length} codes against the number of labels, ${kinds[reader]} reader`);
      view.say(`${counts[at]} labels, ${kinds[reader]} reader: ${names[best]} ahead with ${fixed(middle[best][at], 2)}; `
        + `of these ${answers.length} pictures it reads ${right[best]} right.`);
    });
  },
};
