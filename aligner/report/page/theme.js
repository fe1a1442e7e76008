"use strict";
// Before anything is painted: the theme that was chosen last.
{
  const KEY = "aligner-report-theme";
  let chosen = "auto";
  try { chosen = localStorage.getItem(KEY) || "auto"; } catch { /* a browser that keeps nothing for files */ }
  document.documentElement.dataset.theme = chosen;
  window.addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = chosen;
    select.addEventListener("change", () => {
      document.documentElement.dataset.theme = select.value;
      try { localStorage.setItem(KEY, select.value); } catch { /* then only until the page is closed */ }
      window.dispatchEvent(new Event("themechange"));
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    window.dispatchEvent(new Event("themechange"));
  });
}
