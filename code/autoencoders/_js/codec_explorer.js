// Ways to store pictures in the plane of bits and error, each a line of points; the pictures of the chosen point are shown.
export default {
  render({ model, el }) {
    const view = new View(el, model), methods = view.get("methods"), places = view.get("places");
    const shape = view.get("shape"), pixels = shape[0] * shape[1] * shape[2], count = view.get("count");
    const originals = view.bytes("originals"), pictures = view.bytes("pictures");
    const letter = (m) => String.fromCharCode(97 + m);
    const first = methods.map((_, m) => methods.slice(0, m).reduce((sum, { bits }) => sum + bits.length, 0));
    const rows = ["originals", "rebuilt"].map((caption) => view.strip({ caption, shape, count }));
    const readings = view.readings(["setting", "bits a pixel", "bits a picture", "error, MSE"]);
    const plane = view.plot({ label: "bits and error", height: 300, role: "slider", className: "plot pad" });
    const { canvas } = plane;
    canvas.tabIndex = 0;
    canvas.setAttribute("aria-roledescription", "point among those of several methods");
    const choose = (method, point) =>
      view.change({ method, point: clamp(point, 0, methods[method].bits.length - 1) });
    // The point of another method that costs about as much as the chosen one.
    const nearest = (method) => {
      const now = Math.log(methods[view.get("method")].bits[view.get("point")]);
      const far = (bits) => Math.abs(Math.log(bits) - now);
      return methods[method].bits.reduce((best, bits, i, all) => (far(bits) < far(all[best]) ? i : best), 0);
    };
    const along = (step) => choose(view.get("method"), view.get("point") + step);
    const across = (step) => {
      const method = (view.get("method") + step + methods.length) % methods.length;
      choose(method, nearest(method));
    };
    const ends = (step) => () => view.get("point") === (step < 0 ? 0 : methods[view.get("method")].bits.length - 1);
    const options = methods.map(({ name }, m) => [m, `${letter(m)} ${name}`]);
    const write = (method) => choose(method, nearest(method));
    view.body.append(
      plane.canvas,
      h("div", { class: "row tight" },
        view.button("fewer bits", () => along(-1), { disabled: ends(-1) }),
        view.button("more bits", () => along(1), { disabled: ends(1) })),
      view.choice({ label: "method", key: "method", options, write }),
      ...rows.map((row) => row.figure),
      h("div", { class: "stack" }, readings.table, view.status));
    let at = [];
    const follow = (event) => {
      const box = canvas.getBoundingClientRect();
      const far = ([x, y]) => Math.hypot(x - event.clientX + box.left, y - event.clientY + box.top);
      const [, , method, point] = at.reduce((a, b) => (far(b) < far(a) ? b : a));
      if (method !== view.get("method") || point !== view.get("point")) choose(method, point);
    };
    view.listen(canvas, "pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); follow(event); });
    view.listen(canvas, "pointermove", (event) => { if (event.buttons) follow(event); });
    view.listen(canvas, "keydown", (event) => {
      const moves = { ArrowLeft: [along, -1], ArrowRight: [along, 1], ArrowUp: [across, -1], ArrowDown: [across, 1] };
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      move[0](move[1]);
    });
    const logarithmic = (values, label) => {
      const low = 0.8 * Math.min(...values), high = 1.25 * Math.max(...values), marks = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
        for (const digit of [1, 3]) marks.push(digit * 10 ** power);
      }
      const shown = marks.filter((value) => value >= low && value <= high);
      const ticks = shown.map((value) => ({ value, text: String(+value.toPrecision(1)) }));
      return { range: [low, high], log: true, label, ticks };
    };
    const costs = logarithmic(methods.flatMap(({ bits }) => bits), "bits a pixel");
    const wrong = logarithmic(methods.flatMap(({ errors }) => errors), "error, MSE");

    return view.start(["method", "point"], () => {
      const method = view.get("method"), point = view.get("point"), { name, settings, bits, errors } = methods[method];
      const { context, sx, sy } = axes(view, plane, { x: costs, y: wrong, left: 58, top: 18 });
      at = methods.flatMap((one, m) => one.bits.map((cost, i) => [sx(cost), sy(one.errors[i]), m, i]));
      methods.forEach((one, m) => {
        const color = m === method ? view.color[one.color] : view.color.muted;
        context.strokeStyle = color;
        context.lineWidth = m === method ? 2.5 : 1;
        line(context, one.bits.map((cost, i) => [sx(cost), sy(one.errors[i])]));
        one.bits.forEach((cost, i) => dot(context, sx(cost), sy(one.errors[i]), m === method ? 5 : 3, color));
      });
      context.lineWidth = 2;
      dot(context, sx(bits[point]), sy(errors[point]), 8, view.color.latent, view.color.ink);
      context.fillStyle = view.color.ink;
      context.textAlign = "center";
      context.textBaseline = "bottom";
      const letters = [[sx(bits[point]), sy(errors[point]) + 6]];  // none is hidden by the chosen point or another letter
      methods.forEach((one, m) => {
        const x = sx(one.bits[0]);
        let y = sy(one.errors[0]) - 6;
        while (letters.some(([u, v]) => Math.abs(u - x) < 14 && Math.abs(v - y) < 13)) y -= 13;
        letters.push([x, y]);
        context.fillText(letter(m), x, y);
      });
      rows[0].draw((i) => originals.subarray(i * pixels, (i + 1) * pixels));
      const start = (first[method] + point) * count;
      rows[1].draw((i) => pictures.subarray((start + i) * pixels, (start + i + 1) * pixels));
      rows[0].describe(`${count} original pictures`);
      rows[1].describe(`the same pictures as ${name} rebuilds them, ${settings[point]}`);
      const total = fixed(bits[point] * places, 0);
      readings.write(settings[point], significant(bits[point], 3), total, significant(errors[point], 2));
      canvas.setAttribute("aria-valuemin", 1);
      canvas.setAttribute("aria-valuemax", bits.length);
      canvas.setAttribute("aria-valuenow", point + 1);
      const spoken = `${name}, ${settings[point]}: ${significant(bits[point], 3)} bits a pixel, `
        + `error ${significant(errors[point], 2)}`;
      canvas.setAttribute("aria-valuetext", spoken);
      const better = methods.filter((one) =>
        one.bits.some((cost, i) => cost <= bits[point] && one.errors[i] < errors[point]));
      view.say(`${spoken}. ${better.length ? `With no more bits, less error: ${better.map((one) => one.name).join(", ")}.`
        : "No method here has less error with no more bits."}`);
    });
  },
};
