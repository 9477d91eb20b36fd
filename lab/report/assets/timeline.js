// The timeline as a whole: keys, pointer, search; what is chosen; and the ways to the proofs and back.

const ZOOM = 1.6; // A key's or a button's step.
const WHEEL = 1.0018; // To the power of the wheel's pixels.

function startTimeline(data) {
  const box = document.getElementById("timeline-box");
  if (data.ops.count === 0) return { redraw() {}, prepareToPrint() {} };
  box.hidden = false;
  const timeline = new Timeline(data);
  timeline.listen(box);
  timeline.search("");
  return timeline;
}

class Timeline {
  constructor(data) {
    this.data = data;
    this.view = newView(data);
    this.element = document.getElementById("view");
    this.canvas = document.getElementById("canvas");
    this.colour = colours(COLOURS);
    this.fits = null; // A byte for each operation; null: all fit.
    this.waiting = false;
    this.resize();
  }

  resize() {
    this.view.width = Math.max(320, this.element.clientWidth);
    this.draw();
  }

  redraw() {
    this.colour = colours(COLOURS);
    this.draw();
  }

  // Many changes, one drawing.
  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    this.waiting = false;
    const { view, data } = this;
    paint(this.canvas, view, data, this.fits, this.colour);
    const span = spanOf(view);
    document.getElementById("range").textContent =
      `${seconds(Math.max(0, view.from), span)} to ${seconds(Math.min(data.end, view.to), span)}`;
    Object.assign(this.element.dataset, { from: view.from, to: view.to, selected: view.selected < 0 ? "" : data.ops.i[view.selected] });
  }

  // On paper: all of the run, dark on light.
  prepareToPrint() {
    const { from, to } = this.view;
    show(this.view, this.view.whole.from, this.view.whole.to);
    this.colour = colours(COLOURS);
    this.drawNow();
    return () => {
      show(this.view, from, to);
      this.redraw();
    };
  }

  listen(box) {
    new ResizeObserver(() => this.resize()).observe(this.element);
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.element.addEventListener("pointerdown", (event) => this.press(event));
    this.element.addEventListener("pointermove", (event) => this.hover(event));
    this.element.addEventListener("pointerleave", () => this.hoverAt(-1));
    document.getElementById("search").addEventListener("input", (event) => this.search(event.target.value));
    for (const button of box.querySelectorAll("[data-do]")) {
      button.addEventListener("click", () => this.act(button.dataset.do));
    }
    for (const link of document.querySelectorAll("[data-operation]")) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        this.goTo(placeOf(this.data.ops, Number(link.dataset.operation)));
      });
    }
    for (const button of document.querySelectorAll("[data-violation]")) {
      button.addEventListener("click", () => this.goToViolation(Number(button.dataset.violation)));
    }
  }

  act(name) {
    const { view, data } = this;
    const actions = {
      in: () => zoom(view, 1 / ZOOM, centreOf(view, data.ops)),
      out: () => zoom(view, ZOOM, centreOf(view, data.ops)),
      fit: () => show(view, view.whole.from, view.whole.to),
      left: () => move(view, -0.25),
      right: () => move(view, 0.25),
      next: () => this.chooseNear(1, (at) => this.fits === null || this.fits[at] === 1),
      previous: () => this.chooseNear(-1, (at) => this.fits === null || this.fits[at] === 1),
      violation: () => this.chooseNear(1, (at) => data.ops.violations.has(at)),
      before: () => this.chooseInLane(-1),
      after: () => this.chooseInLane(1),
      up: () => this.chooseLane(-1),
      down: () => this.chooseLane(1),
      first: () => this.choose(0),
      last: () => this.choose(data.ops.count - 1),
      proof: () => this.showProof(),
      none: () => this.choose(-1),
    };
    actions[name]();
    this.draw();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      "+": "in", "=": "in", "-": "out", _: "out", 0: "fit", n: "next", p: "previous", v: "violation",
      ArrowLeft: event.shiftKey ? "left" : "before", ArrowRight: event.shiftKey ? "right" : "after",
      ArrowUp: "up", ArrowDown: "down", Home: "first", End: "last", Enter: "proof", Escape: "none",
    };
    const name = keys[event.key];
    if (!name) return;
    event.preventDefault();
    this.act(name);
  }

  // A page that scrolls is not to be caught by what lies on its way: the wheel zooms what was clicked into.
  wheel(event) {
    const wanted = event.ctrlKey || document.activeElement === this.element;
    if (!wanted) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) move(this.view, (event.deltaX * unit) / this.view.width);
    else zoom(this.view, WHEEL ** (event.deltaY * unit), timeAt(this.view, this.point(event)[0]));
    this.draw();
  }

  point(event) {
    const place = this.canvas.getBoundingClientRect();
    return [event.clientX - place.left, event.clientY - place.top];
  }

  // A press chooses; a press that moves drags.
  press(event) {
    if (event.button !== 0) return;
    const { view } = this;
    const [start] = this.point(event);
    const { from, to } = view;
    let dragged = false;
    const drag = (moved) => {
      const by = this.point(moved)[0] - start;
      dragged ||= Math.abs(by) > 3;
      if (!dragged) return;
      const time = (by / (view.width - GUTTER)) * (to - from);
      show(view, from - time, to - time);
      this.draw();
    };
    const release = (released) => {
      this.element.removeEventListener("pointermove", drag);
      if (!dragged && released.type === "pointerup") this.choose(hit(view, this.data, ...this.point(released)), false);
    };
    this.element.setPointerCapture(event.pointerId);
    this.element.addEventListener("pointermove", drag);
    this.element.addEventListener("pointerup", release, { once: true });
    this.element.addEventListener("pointercancel", release, { once: true });
  }

  hover(event) {
    if (event.buttons === 0) this.hoverAt(hit(this.view, this.data, ...this.point(event)));
  }

  hoverAt(at) {
    if (at === this.view.hovered) return;
    this.view.hovered = at;
    this.element.style.cursor = at >= 0 ? "pointer" : "";
    this.tell(at >= 0 ? at : this.view.selected);
    this.draw();
  }

  tell(at) {
    const details = document.getElementById("details");
    details.replaceChildren(at >= 0 ? describe(this.data, at) : "No operation is chosen.");
  }

  choose(at, moving = true) {
    this.view.selected = at;
    if (at >= 0 && moving) reveal(this.view, this.data.ops, at);
    this.tell(at);
    this.draw();
  }

  // The next in that direction for which it is so; from the end it goes on at the beginning.
  chooseNear(direction, is) {
    const { count, began } = this.data.ops;
    const from = this.view.selected >= 0 ? this.view.selected : firstAtLeast(count, (at) => began[at], this.view.from) - (direction > 0 ? 1 : 0);
    for (let step = 1; step <= count; step++) {
      const at = (((from + direction * step) % count) + count) % count;
      if (is(at)) return this.choose(at);
    }
  }

  chooseInLane(direction) {
    const { data, view } = this;
    if (view.selected < 0) return this.chooseNear(direction, () => true);
    const { places } = data.lanes[data.ops.lane[view.selected]];
    const fit = (at) => this.fits === null || this.fits[at] === 1;
    for (let nth = places.indexOf(view.selected) + direction; nth >= 0 && nth < places.length; nth += direction) {
      if (fit(places[nth])) return this.choose(places[nth]);
    }
  }

  chooseLane(direction) {
    const { data, view } = this;
    if (view.selected < 0) return this.chooseNear(direction, () => true);
    const lane = data.lanes[data.ops.lane[view.selected] + direction];
    if (!lane) return;
    const began = (nth) => data.ops.began[lane.places[nth]];
    const nth = firstAtLeast(lane.places.length, began, data.ops.began[view.selected]);
    this.choose(lane.places[Math.min(nth, lane.places.length - 1)]);
  }

  search(text) {
    const { ops } = this.data;
    const filter = filterOf(text, ops);
    let matches = ops.count;
    this.fits = null;
    if (filter) {
      this.fits = new Uint8Array(ops.count);
      matches = 0;
      for (let at = 0; at < ops.count; at++) matches += this.fits[at] = filter(at) ? 1 : 0;
    }
    document.getElementById("matches").textContent = filter ? `· ${matches} of ${ops.count} operations fit` : `· ${ops.count} operations`;
    this.element.dataset.matches = matches;
    this.draw();
  }

  goTo(at) {
    if (at < 0) return;
    this.choose(at);
    this.focus();
  }

  goToViolation(number) {
    const { ops, violations } = this.data;
    const { places } = violations.find((violation) => violation.number === number);
    const [from, to] = [Math.min(...places.map((at) => ops.began[at])), Math.max(...places.map((at) => ops.end[at]))];
    const pad = Math.max(500, (to - from) * 0.1);
    show(this.view, from - pad, to + pad);
    this.choose(places[places.length - 1], false);
    this.focus();
  }

  focus() {
    document.getElementById("timeline").scrollIntoView();
    this.element.focus({ preventScroll: true });
  }

  showProof() {
    const [number] = this.data.ops.violations.get(this.view.selected) ?? [];
    const card = number && document.getElementById(`v${number}`);
    if (!card) return;
    card.closest("details")?.setAttribute("open", "");
    card.scrollIntoView();
    card.focus({ preventScroll: true });
  }
}
