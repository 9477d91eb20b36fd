// The beginning. `data-ready` says in milliseconds since the page was opened when everything stood.

const timeline = startTimeline(await readData());
startTheme(() => timeline.redraw());
startEvents();

let afterPrinting = () => {};
addEventListener("beforeprint", () => {
  document.documentElement.dataset.printing = "";
  afterPrinting = timeline.prepareToPrint() ?? (() => {});
});
addEventListener("afterprint", () => {
  delete document.documentElement.dataset.printing;
  afterPrinting();
});

requestAnimationFrame(() => {
  document.documentElement.dataset.ready = Math.round(performance.now());
});
