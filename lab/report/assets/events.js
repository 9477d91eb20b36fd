// The list of events: rows that do not fit are put aside. On paper all of them are there.

function startEvents() {
  const search = document.getElementById("events-search");
  const level = document.getElementById("events-level");
  const rows = [...document.getElementById("events-rows").rows];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, nth) => {
      const loud = level.value === "all" || ["warning", "error"].includes(row.dataset.level);
      const fits = loud && words.every((word) => texts[nth].includes(word));
      row.classList.toggle("aside", !fits);
      shown += fits ? 1 : 0;
    });
    document.getElementById("events-count").textContent =
      shown === rows.length ? `${shown} events` : `${shown} of ${rows.length} events`;
  };
  search.addEventListener("input", filter);
  level.addEventListener("change", filter);
}
