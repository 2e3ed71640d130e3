// What a reader does, for test_report.py: the page's title says what was seen.
window.addEventListener("load", function () {
  var table = document.querySelector("[data-table='images-mnist']"), words = document.querySelector("[data-table='codecs-mnist']");
  var said = [];
  function shown(of) {
    var rows = Array.from(of.tBodies[0].rows).filter(function (r) { return !r.hidden; });
    return rows.map(function (r) { return r.id.split("/").slice(1).join(" "); });
  }
  function header(of, title) {
    return Array.from(of.tHead.rows[0].cells).find(function (c) { return c.textContent.indexOf(title) >= 0; }).querySelector("button");
  }
  function set(selector, change) {
    var e = document.querySelector(selector); change(e); e.dispatchEvent(new Event("input"));
  }
  header(table, "FID").click(); said.push(shown(table)); header(table, "FID").click(); said.push(shown(table));
  set("[data-q='images-mnist']", function (e) { e.value = "ddim steps=1"; }); said.push(shown(table), location.hash);
  set("[data-q='images-mnist']", function (e) { e.value = ""; });
  set("[data-refs='images-mnist']", function (e) { e.checked = false; }); said.push(shown(table));
  header(words, "PSNR").click(); said.push(shown(words));
  var unfold = document.querySelector("[data-table='words-shakespeare'] .unfold"), folded = document.querySelectorAll("tr.setting[hidden]").length;
  unfold.click(); said.push(folded > document.querySelectorAll("tr.setting[hidden]").length);
  var heads = table.querySelectorAll("thead button");
  heads[0].focus();
  heads[0].dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  said.push(document.activeElement === heads[1] && heads[1].tabIndex === 0 && heads[0].tabIndex === -1);
  location.hash = "#card-ddpm-mnist"; window.dispatchEvent(new Event("hashchange"));
  said.push(document.getElementById("card-ddpm-mnist").open && document.getElementById("card-ddpm-mnist").parentNode.open);
  location.hash = "#row=words-shakespeare/ngram-char/n=2,smoothing=add_k"; window.dispatchEvent(new Event("hashchange"));
  said.push(document.getElementById("row=words-shakespeare/ngram-char/n=2,smoothing=add_k").hidden);
  location.hash = "#view=words-shakespeare&settings=1&more=1&sort=2&up=0"; window.dispatchEvent(new Event("hashchange"));
  var language = document.querySelector("[data-table='words-shakespeare']");
  said.push(language.tHead.rows[0].cells[2].getAttribute("aria-sort"), language.classList.contains("narrow"), language.querySelectorAll("tr.setting[hidden]").length);
  var further = document.querySelector("details.further");
  if (further) { further.open = true; }
  document.querySelector("[data-verdict='unclear']").click();
  said.push(Array.from(document.querySelectorAll("table.claims tr.unclear")).every(function (r) { return r.hidden; }));
  var copied = []; navigator.clipboard.writeText = function (text) { copied.push(text); return Promise.resolve(); };
  document.querySelectorAll("[data-export='codecs-mnist'] button").forEach(function (b, i) { if (i < 3) { b.click(); } });
  said.push(copied);
  setTimeout(function () {
    said.push(further ? further.querySelectorAll("tbody tr").length : -1);
    function stops() {
      return Array.from(document.querySelectorAll("a[href], button, input, select, summary, [tabindex], video")).filter(function (e) {
        return e.tabIndex >= 0 && e.getClientRects().length;
      }).length;
    }
    said.push(stops(), document.documentElement.scrollWidth <= window.innerWidth);
    document.title = JSON.stringify(said);
  }, 200);
});
