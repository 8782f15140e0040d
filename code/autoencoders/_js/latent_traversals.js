// Every latent has a slider and the row of pictures it runs through, the others staying where they are.
export default {
  render({ model, el }) {
    const view = new View(el, model), shape = view.get("shape"), betas = view.get("betas"), steps = view.get("steps");
    const [height, width, depth] = shape, pixels = height * width * depth, extent = view.get("extent");
    const originals = view.bytes("images"), latent = view.get("codes_0")[0].length;
    const networks = betas.map((_, k) => buildNetwork(view.get(`manifest_${k}`), view.bytes(`weights_${k}`)));
    const limit = extent * 1.5, values = Array.from({ length: steps }, (_, i) => extent * ((2 * i) / (steps - 1) - 1));
    const chosen = () => betas.indexOf(view.get("beta"));
    const own = () => view.get(`codes_${chosen()}`)[view.get("image")];
    const code = () => (view.get("z").length === latent ? view.get("z") : own());
    const number = (value) => fixed(value, 1);

    const pictures = ["x", "decoded"].map((label) => view.picture({ label, shape, size: 132 }));
    const rows = Array.from({ length: latent }, (_, j) => {
      const strip = view.strip({ caption: "", shape, count: steps });
      strip.figure.style.flex = "2 1 190px";
      strip.figure.querySelector("figcaption").remove();
      const slider = view.slider({
        label: `z${j + 1}`, min: -limit, max: limit, step: 0.1, accent: "latent", format: number,
        read: () => clamp(code()[j], -limit, limit),
        write: (value) => view.change({ z: code().map((old, i) => (i === j ? value : old)) }),
      });
      const name = slider.querySelector("span");
      const side = h("div", {}, slider);
      side.style.flex = "1 1 150px";
      const row = h("div", { class: "row tight" }, side, strip.figure);
      return { strip, name, row };
    });
    const back = view.button("Back to the picture's own code", () => view.change({ z: [] }));
    view.body.append(
      h("div", { class: "row" },
        view.choice({ label: "\u03b2", key: "beta", options: betas.map((beta) => [beta, String(beta)]),
          write: (beta) => view.change({ beta, z: [] }) }),
        view.gallery({ label: "picture", key: "image", count: view.get("count"), shape,
          paint: (i) => originals.subarray(i * pixels, (i + 1) * pixels) })),
      h("div", { class: "row" }, h("div", { class: "pictures" }, pictures.map((picture) => picture.figure)),
        h("div", { class: "stack grow" }, back, view.status)),
      h("div", { class: "stack" }, rows.map(({ row }) => row)));

    let image = view.get("image");
    return view.start(["beta", "image", "z"], () => {
      const i = view.get("image");
      if (i !== image) {  // another picture begins at its own code
        image = i;
        if (view.get("z").length) return view.change({ z: [] });
      }
      const k = chosen(), z = Float32Array.from(code()), network = networks[k], rates = view.get(`rates_${k}`);
      const decode = (at) => Float32Array.from(network(at));
      pictures[0].draw(originals.subarray(i * pixels, (i + 1) * pixels));
      pictures[0].describe(`picture ${i + 1}`, "the picture x");
      pictures[1].draw(decode(z));
      pictures[1].describe(`the picture decoded from ${Array.from(z, number).join(", ")}`, "decoded from z");
      rows.forEach(({ strip, name }, j) => {
        name.textContent = `z${j + 1}, ${fixed(rates[j])} nats`;
        const row = values.map((value) => decode(z.map((old, l) => (l === j ? value : old))));
        strip.draw((step) => row[step]);
        strip.describe(`latent ${j + 1} from ${number(-extent)} to ${number(extent)} in ${steps} pictures`);
      });
      const used = rates.filter((rate) => rate > 0.1).length;
      view.say(`\u03b2 = ${betas[k]}: ${used} of ${latent} latents carry more than 0.1 nats. `
        + `z = (${Array.from(z, number).join(", ")}).`);
    });
  },
};
