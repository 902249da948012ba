"use strict";
// The sliders of the gallery. Without this script the pictures stand beside each other.
document.documentElement.classList.add("js");

for (const gallery of document.querySelectorAll(".gallery")) {
  const shots = [...gallery.querySelectorAll(".shot")];
  const selects = [...gallery.querySelectorAll("select")];
  const together = gallery.querySelector(".together");

  const title = (side) => {
    const select = selects.find((one) => one.dataset.side === side);
    return select.options[select.selectedIndex].text;
  };

  // Show the picture that is chosen for one side of one image.
  const show = (shot, select) => {
    const side = select.dataset.side;
    const panel = shot.querySelector(`figure[data-layer="${select.value}"]`);
    const layer = panel && panel.querySelector("img");
    const picture = shot.querySelector(`.compare .picture.${side}`);
    const said = title(side) + (panel ? "" : ": no picture");
    picture.replaceChildren(...(layer ? [layer.cloneNode()] : []));
    picture.classList.toggle("plain", select.value === "0");
    picture.setAttribute("aria-label", `${shot.querySelector(".compare").dataset.id}: ${said}`);
    shot.querySelector(`.tag.${side}`).textContent = said;
    tell(shot);
  };

  const tell = (shot) => {
    const range = shot.querySelector("input[type=range]");
    range.setAttribute("aria-valuetext", `${range.value} % ${title("left")}, ${100 - range.value} % ${title("right")}`);
  };

  // Put the divider of one image, or of all of them, at a share of the width, in per cent.
  const move = (shot, at) => {
    for (const one of together.checked ? shots : [shot]) {
      one.querySelector("input[type=range]").value = at;
      one.querySelector(".compare").style.setProperty("--at", `${at}%`);
      tell(one);
    }
  };

  for (const shot of shots) {
    const compare = shot.querySelector(".compare");
    const range = shot.querySelector("input[type=range]");
    const follow = (event) => {
      const box = compare.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      move(shot, Math.round(100 * Math.min(1, Math.max(0, share))));
    };
    compare.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      compare.setPointerCapture(event.pointerId);
      range.focus({ preventScroll: true });
      follow(event);
      event.preventDefault();
    });
    compare.addEventListener("pointermove", (event) => {
      if (compare.hasPointerCapture(event.pointerId)) follow(event);
    });
    range.addEventListener("input", () => move(shot, range.value));
    for (const select of selects) show(shot, select);
    move(shot, range.value);
  }
  for (const select of selects) {
    select.addEventListener("change", () => shots.forEach((shot) => show(shot, select)));
  }
  for (const radio of gallery.querySelectorAll("input[type=radio]")) {
    radio.addEventListener("change", () => (gallery.dataset.view = radio.value));
  }
}
