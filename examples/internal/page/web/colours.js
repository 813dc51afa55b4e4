// The choice between the system's colours, light and dark; theme.js applies it
// before the first paint.

export function chooseTheme(fieldset) {
  const chosen = document.documentElement.dataset.theme ?? "system";
  fieldset.querySelector(`input[value="${chosen}"]`).checked = true;
  fieldset.addEventListener("change", (event) => {
    const theme = event.target.value;
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      if (theme === "system") localStorage.removeItem("theme");
      else localStorage.setItem("theme", theme);
    } catch {
      // Without storage the choice is lost with the page.
    }
  });
}
