// Where the reconstructions of several kinds of network err, pixel by pixel.
export default {
  render({ model, el }) {
    const view = new View(el, model), layers = view.get("layers"), shape = view.get("shape"), count = view.get("count");
    const [height, width, depth] = shape, pixels = height * width * depth, errors = view.get("errors");
    const kinds = view.get("kinds"), ofLayers = kinds === "layers";
    const originals = view.bytes("originals"), rebuilt = view.bytes("reconstructions");
    const original = (i) => originals.subarray(i * pixels, (i + 1) * pixels);
    const rebuild = (layer, i) => rebuilt.subarray((layer * count + i) * pixels, (layer * count + i + 1) * pixels);

    // |x - g(f(x))|, averaged over the color channels, and the picture's mean squared error, for every layer type.
    function compare(layer, i) {
      const x = original(i), y = rebuild(layer, i), map = new Float32Array(height * width);
      let squares = 0;
      for (let k = 0; k < pixels; k++) {
        const gap = Math.abs(x[k] - y[k]) / 255;
        map[Math.floor(k / depth)] += gap / depth;
        squares += gap * gap;
      }
      return { map, mse: squares / pixels, largest: Math.max(...map) };
    }
    const compared = layers.map((_, layer) => Array.from({ length: count }, (_, i) => compare(layer, i)));

    const pictures = ["original", "reconstruction", "error"].map((label) => view.picture({ label, shape, size: 230 }));
    const marks = layers.map(() => h("tr"));
    const columns = [kinds, "this picture", ...(errors ? ["test set"] : [])];
    const head = h("thead", {}, h("tr", {}, columns.map((text) => h("th", { scope: "col" }, text))));
    const table = h("table", {}, head, h("tbody", {}, marks));
    const options = layers.map((name) => [name, name]);
    const caption = h("p", {}, "mean squared error");
    const scale = view.plot({ label: "color scale", height: 46 });
    view.body.append(
      h("div", { class: "row" }, view.choice({ label: ofLayers ? "layers of encoder and decoder" : kinds, key: "layer", options }),
        view.gallery({ label: "picture", key: "image", count, shape, paint: original })),
      h("div", { class: "pictures" }, pictures.map((picture) => picture.figure)),
      h("div", { class: "row" }, h("div", { class: "grow" }, caption, table),
        h("div", { class: "stack grow" }, h("p", {}, "absolute error of a pixel"), scale.canvas, view.status)));

    return view.start(["layer", "image"], () => {
      const name = view.get("layer"), layer = layers.indexOf(name), i = view.get("image"), now = compared[layer][i];
      const largest = Math.max(...compared.map((row) => row[i].largest), 1e-6);
      pictures[0].draw(original(i));
      pictures[0].describe(`original picture ${i + 1}`, "original x");
      pictures[1].draw(rebuild(layer, i));
      pictures[1].describe(ofLayers ? `its reconstruction by the ${name} autoencoder` : `its reconstruction: ${name}`, "reconstruction g(f(x))");
      view.paint(pictures[2].canvas, [height, width, 1], now.map, { error: true, scale: 1 / largest });
      pictures[2].describe(`map of the absolute error, largest ${fixed(now.largest)}`, "|x \u2212 g(f(x))|");
      layers.forEach((other, k) => {
        const values = [compared[k][i].mse, ...(errors ? [errors[k]] : [])];
        marks[k].style.fontWeight = k === layer ? "600" : "400";
        const shown = values.map((value) => h("td", {}, significant(value, 3)));
        marks[k].replaceChildren(h("th", { scope: "row" }, other), ...shown);
        for (const { style } of marks[k].children) {
          Object.assign(style, { fontWeight: "inherit", textAlign: "left", paddingRight: "16px" });
        }
      });
      const context = scale.begin(), ramp = context.createLinearGradient(1, 0, scale.width - 1, 0);
      ramp.addColorStop(0, view.color.blank);
      ramp.addColorStop(1, view.color.posterior);
      context.fillStyle = ramp;
      context.fillRect(0.5, 4.5, scale.width - 1, 15);
      context.strokeStyle = view.color.line;
      context.strokeRect(0.5, 4.5, scale.width - 1, 15);
      context.fillStyle = view.color.muted;
      context.font = `12px ${view.font}`;
      context.textBaseline = "top";
      [[0, "left"], [largest / 2, "center"], [largest, "right"]].forEach(([value, align]) => {
        context.textAlign = align;
        context.fillText(fixed(value), (value / largest) * scale.width, 25);
      });
      scale.describe(`color scale from 0 to ${fixed(largest)}, the largest error of this picture under any of the ${kinds}`);
      const error = significant(now.mse, 3), worst = fixed(now.largest);
      view.say(`${name}${ofLayers ? " layers" : ""}, picture ${i + 1}: mean squared error ${error}, largest pixel error ${worst}.`);
    });
  },
};
