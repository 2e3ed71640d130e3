// Sorting, filtering and jumping to provenance. Everything is readable without it.
(function () {
  "use strict";
  function all(selector, root) { return Array.prototype.slice.call((root || document).querySelectorAll(selector)); }

  function key(row, index, kind) {
    var cell = row.cells[index];
    if (kind === "text") { return cell.textContent.trim().toLowerCase(); }
    var text = cell.getAttribute("data-sort");
    if (text === null || text === "") { return null; }
    return text === "inf" ? Infinity : text === "-inf" ? -Infinity : parseFloat(text);
  }
  function sort(table, index, kind, up) {
    var body = table.tBodies[0];
    var rows = all("tr", body).map(function (row, i) { return { row: row, key: key(row, index, kind), i: i }; });
    rows.sort(function (a, b) {
      if (a.key === null || b.key === null) { return a.key === b.key ? a.i - b.i : a.key === null ? 1 : -1; }
      return a.key === b.key ? a.i - b.i : (a.key < b.key ? -1 : 1) * (up ? 1 : -1);
    });
    rows.forEach(function (item) { body.appendChild(item.row); });
  }
  all("table.leader").forEach(function (table) {
    all("thead th[data-kind]", table).forEach(function (th) {
      var button = document.createElement("button");
      button.type = "button";
      var note = th.querySelector(".sub");
      var label = th.querySelector(".head");
      if (label) { th.insertBefore(button, note); button.appendChild(label); } else { button.textContent = th.textContent; th.textContent = ""; th.appendChild(button); }
      button.addEventListener("click", function () {
        var up = th.getAttribute("aria-sort") !== "ascending";
        all("thead th", table).forEach(function (other) { other.removeAttribute("aria-sort"); });
        th.setAttribute("aria-sort", up ? "ascending" : "descending");
        sort(table, th.cellIndex, th.getAttribute("data-kind"), up);
      });
    });
  });

  function refresh(id) {
    var words = document.querySelector("[data-filter='" + id + "']").value.toLowerCase().split(/\s+/).filter(Boolean);
    var fold = document.querySelector("[data-settings='" + id + "']");
    var references = document.querySelector("[data-refs='" + id + "']").checked;
    all("#" + id + " tbody tr").forEach(function (row) {
      var text = row.getAttribute("data-model").toLowerCase();
      var fits = words.every(function (word) { return text.indexOf(word) >= 0; });
      row.hidden = !fits || (fold && !fold.checked && !words.length && row.classList.contains("setting")) || (!references && !row.classList.contains("generator"));
    });
  }
  all(".controls").forEach(function (box) {
    box.hidden = false;
    all("input", box).forEach(function (input) {
      var id = input.getAttribute("data-filter") || input.getAttribute("data-settings") || input.getAttribute("data-refs");
      input.addEventListener("input", function () { refresh(id); });
      if (input.hasAttribute("data-settings")) { refresh(id); }
    });
  });

  // Loops play while they are in sight, unless the reader asked for calm or stopped them.
  if ("IntersectionObserver" in window && !window.matchMedia("(prefers-reduced-motion: reduce)").matches) {
    var watch = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        var video = entry.target;
        video.inSight = entry.isIntersecting;
        if (!entry.isIntersecting) { video.pause(); } else if (!video.stopped) { video.play().catch(function () {}); }
      });
    }, { threshold: 0.6 });
    all("video[loop]").forEach(function (video) {
      video.addEventListener("pause", function () { if (video.inSight) { video.stopped = true; } });
      video.addEventListener("play", function () { video.stopped = false; });
      watch.observe(video);
    });
  }

  function open() {
    var target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (var node = target; node; node = node.parentElement) { if (node.tagName === "DETAILS") { node.open = true; } }
    if (target) { target.scrollIntoView(); }
  }
  window.addEventListener("hashchange", open);
  open();
  window.addEventListener("beforeprint", function () { all("details.notes").forEach(function (item) { item.open = true; }); });
})();
