// Paint with codes: a palette, the map of codes of a test picture, and the picture it decodes to.
export default {
  render({ model, el }) {
    const view = new View(el, model);
    const decode = buildNetwork(view.get("manifest"), view.bytes("weights"));
    const codebook = new Float32Array(view.bytes("codebook").slice().buffer);
    const maps = new Uint16Array(view.bytes("maps").slice().buffer), images = view.bytes("images");
    const small = view.get("swatch"), cell = view.get("cell"), looks = view.bytes("swatches"), order = view.get("order");
    const [rows, columns] = view.get("grid"), places = rows * columns, width = codebook.length / order.length;
    const shape = view.get("shape"), pixels = shape[0] * shape[1] * shape[2], size = small[0] * small[1] * small[2];
    const look = (code) => looks.subarray(code * size, (code + 1) * size);
    const original = (i) => images.subarray(i * pixels, (i + 1) * pixels);
    const encoded = (i) => [...maps.subarray(i * places, (i + 1) * places)];
    const at = ([column, up]) => (rows - 1 - up) * columns + column;

    function picture(codes) {
      const z = new Float32Array(places * width);
      codes.forEach((code, i) => z.set(codebook.subarray(code * width, (code + 1) * width), i * width));
      return decode(z);
    }
    function paint() {
      const here = at(view.get("place")), codes = view.get("codes");
      if (codes[here] === view.get("code")) return;
      view.change({ codes: codes.map((code, i) => (i === here ? view.get("code") : code)) });
    }

    const map = view.pad({
      label: "Map of codes; the arrow keys move the cursor, Enter or Space paints, P picks a code up",
      key: "place", height: (wide) => (wide * rows) / columns, range: () => [[0, columns - 1], [0, rows - 1]],
      step: () => 1,
      toValue: (px, py) => [Math.floor((px / map.width) * columns), rows - 1 - Math.floor((py / map.height) * rows)],
      say: (place) => `row ${rows - place[1]}, column ${place[0] + 1}, code ${view.get("codes")[at(place)]}`,
    });
    const pickUp = () => view.change({ code: view.get("codes")[at(view.get("place"))] });
    view.listen(map.canvas, "pointerdown", paint);
    view.listen(map.canvas, "pointermove", (event) => { if (event.buttons) paint(); });
    view.listen(map.canvas, "keydown", (event) => {
      const act = { Enter: paint, " ": paint, p: pickUp, P: pickUp }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });

    const entries = order.map(() => h("canvas", { width: small[1], height: small[0] }));
    for (const canvas of entries) Object.assign(canvas.style, { width: "25px", imageRendering: "pixelated" });
    const palette = view.choice({
      label: `palette: the ${order.length} codes, from the lightest to the darkest`, key: "code", pictures: entries,
      options: order.map((code) => [code, `code ${code}`]),
    });
    const gallery = view.gallery({ label: "picture", key: "image", count: images.length / pixels, paint: original, shape });
    view.listen(gallery, "change", () => view.change({ codes: encoded(view.get("image")) }));
    const buttons = h("div", { class: "row tight" },
      view.button("pick up the code at the cursor", pickUp),
      view.button("fill the map with it", () => view.change({ codes: Array(places).fill(view.get("code")) })),
      view.button("back to the encoder's codes", () => view.change({ codes: encoded(view.get("image")) })));

    const tile = document.createElement("canvas");
    [tile.height, tile.width] = small;
    function drawMap(codes, own) {
      const context = map.begin(), wide = map.width / columns, tall = map.height / rows;
      context.imageSmoothingEnabled = false;
      codes.forEach((code, i) => {
        view.paint(tile, small, look(code));
        const inner = [(small[1] - cell[1]) / 2, (small[0] - cell[0]) / 2, cell[1], cell[0]];  // without its margin
        context.drawImage(tile, ...inner, (i % columns) * wide, Math.floor(i / columns) * tall, wide - 1, tall - 1);
      });
      context.lineWidth = 2;
      codes.forEach((code, i) => {
        if (code === own[i]) return;
        context.strokeStyle = view.color.codebook;
        context.strokeRect((i % columns) * wide + 1, Math.floor(i / columns) * tall + 1, wide - 3, tall - 3);
      });
      const [column, up] = view.get("place");
      context.strokeStyle = view.color.latent;
      context.lineWidth = 4;
      context.strokeRect(column * wide + 1, (rows - 1 - up) * tall + 1, wide - 3, tall - 3);
    }

    const decoded = view.picture({ label: "decoded", caption: "what the map decodes to", shape, size: 190 });
    const real = view.picture({ label: "original", caption: "the test picture", shape, size: 110 });
    const readings = view.readings(["code you paint with", "code at the cursor", "places painted", "squared error a pixel"]);
    const left = h("div", { class: "stack grow" }, map.canvas, h("span", { class: "key" },
      `${rows} × ${columns} codes, each as what it paints on average`),
      h("div", { class: "key" }, legendKey("codebook", "painted over"), legendKey("latent", "cursor")));
    left.style.flex = "1 1 270px";
    const right = h("div", { class: "stack" }, h("div", { class: "pictures" }, decoded.figure, real.figure), readings.table,
      buttons);
    right.style.flex = "1 1 270px";
    view.body.append(gallery, h("div", { class: "row" }, left, right), palette, view.status);

    let themed;
    return view.start(["codes", "code", "place", "image"], () => {
      const codes = view.get("codes"), code = view.get("code"), image = view.get("image"), own = encoded(image);
      if (themed !== view.dark) order.forEach((entry, i) => view.paint(entries[i], small, look(entry)));
      themed = view.dark;
      drawMap(codes, own);
      const made = picture(codes), truth = original(image);
      let error = 0;
      for (let i = 0; i < pixels; i++) error += (made[i] - truth[i] / 255) ** 2 / pixels;
      const painted = codes.filter((value, i) => value !== own[i]).length, here = codes[at(view.get("place"))];
      decoded.draw(made.map((value) => clamp(value, 0, 1)));
      decoded.describe(`the picture decoded from the map, ${painted} of its ${places} codes painted over`);
      real.draw(truth);
      real.describe(`test picture ${image + 1}`);
      readings.write(String(code), String(here), `${painted} of ${places}`, fixed(error, 4));
      view.say(painted ? `${painted} of ${places} codes painted over: squared error ${fixed(error, 4)} a pixel.`
        : `The encoder's own ${places} codes: squared error ${fixed(error, 4)} a pixel.`);
    });
  },
};
