"use strict";
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const rows = [...document.querySelectorAll("tbody tr")];
  const bars = [...document.querySelectorAll("#picture a")];
  const words = new Map(rows.map((row) => {
    const text = one("b", row).textContent + " " + one(".name", row).textContent;
    return ["#" + row.id, text.toLowerCase()];
  }));

  const field = one("#filter");
  field.parentElement.hidden = false;
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hit = (id) => wanted.every((word) => words.get(id).includes(word));
    let count = 0;
    for (const row of rows) {
      row.hidden = !hit("#" + row.id);
      count += row.hidden ? 0 : 1;
    }
    for (const bar of bars) bar.classList.toggle("dim", !hit(bar.getAttribute("href")));
    one("#none").hidden = count > 0;
  });

  const picture = one("#picture");
  if (!picture) return;
  const panel = one("#panel");
  let chosen = null;
  const choose = (bar) => {
    if (chosen) chosen.classList.remove("chosen");
    chosen = bar;
    panel.hidden = !bar;
    if (!bar) return;
    bar.classList.add("chosen");
    const row = document.getElementById(bar.getAttribute("href").slice(1));
    const close = document.createElement("button");
    close.textContent = "×";
    close.setAttribute("aria-label", "close");
    close.addEventListener("click", () => choose(null));
    const parts = [...row.children].flatMap((cell) => [...cell.cloneNode(true).childNodes]);
    panel.replaceChildren(close, ...parts);
    const details = [...panel.querySelectorAll("details")].pop();
    if (details) details.open = true;
    panel.scrollIntoView({ block: "nearest" });
  };
  picture.addEventListener("click", (event) => {
    const bar = event.target.closest("a");
    if (bar) {
      event.preventDefault();
      choose(bar);
    }
  });

  let zoom = 1;
  const scroll = picture.parentElement;
  const rescale = (factor) => {
    const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / picture.clientWidth;
    zoom = Math.min(256, Math.max(1, zoom * factor));
    picture.setAttribute("width", zoom * 100 + "%");
    scroll.scrollLeft = middle * scroll.clientWidth * zoom - scroll.clientWidth / 2;
  };
  for (const [id, factor] of [["#closer", 2], ["#wider", 0.5]]) {
    one(id).hidden = false;
    one(id).addEventListener("click", () => rescale(factor));
  }
})();
