(() => {
  const box = document.getElementById("scrub");
  const film = [...document.querySelectorAll("#film img")];
  if (!box || film.length < 2) return;
  const slider = box.querySelector("input"), tiles = box.querySelector(".tiles");
  const said = box.querySelector("output"), play = box.querySelector("button");
  const show = () => {
    const frame = film[slider.value], when = frame.dataset.when;
    tiles.style.setProperty("--frame", `url("${frame.src}")`);
    tiles.setAttribute("aria-label", `Prototypes after ${when}`);
    slider.setAttribute("aria-valuetext", when);
    said.value = when;
  };
  let timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; play.textContent = "Play"; };
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (+slider.value === film.length - 1) slider.value = 0;
    show();
    play.textContent = "Stop";
    timer = setInterval(() => {
      slider.value = +slider.value + 1;
      show();
      if (+slider.value === film.length - 1) stop();
    }, 220);
  });
  slider.addEventListener("input", () => { stop(); show(); });
  slider.max = film.length - 1;
  slider.value = film.length - 1;
  show();
  box.hidden = false;
})();
