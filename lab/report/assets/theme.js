// Light, dark, or as the reader's system has it. Colours are named once, in the style sheet.

const THEMES = ["auto", "light", "dark"];

function storedTheme() {
  try {
    return localStorage.getItem("kvlab-theme");
  } catch {
    return null; // A page from disk may have no storage.
  }
}

function setTheme(theme, whenChanged) {
  const root = document.documentElement;
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  document.getElementById("theme").textContent = `Theme: ${theme}`;
  try {
    localStorage.setItem("kvlab-theme", theme);
  } catch {
    // It holds for this visit.
  }
  whenChanged();
}

function startTheme(whenChanged) {
  const button = document.getElementById("theme");
  let theme = THEMES.includes(storedTheme()) ? storedTheme() : "auto";
  button.hidden = false;
  setTheme(theme, whenChanged);
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    setTheme(theme, whenChanged);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", whenChanged);
}

// Canvas knows no custom properties: the browser resolves each through an element that wears it.
function colours(names) {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const resolved = {};
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    resolved[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return resolved;
}
