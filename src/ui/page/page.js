
(function () {
  "use strict";
  // A link to a folded section opens it.
  function reveal() {
    var section = location.hash && document.getElementById(location.hash.slice(1));
    if (section && section.tagName === "DETAILS") section.open = true;
  }
  addEventListener("hashchange", reveal);
  reveal();
  // Paper shows what a reader folded, but for the long tail of the history.
  addEventListener("beforeprint", function () {
    document.querySelectorAll("details.section").forEach(function (section) { section.open = true; });
  });

  var field = document.getElementById("filter");
  if (!field) return;
  var matches = document.getElementById("matches");
  var older = document.getElementById("older");
  var rows = Array.from(document.querySelectorAll("#history tbody tr"));
  var texts = null;
  var waiting = 0;
  var opened = false;

  function apply() {
    waiting = 0;
    texts = texts || rows.map(function (row) { return row.textContent.toLowerCase(); });
    var words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    var found = 0;
    var foundOlder = false;
    rows.forEach(function (row, at) {
      var fits = words.every(function (word) { return texts[at].includes(word); });
      if (row.hidden === fits) row.hidden = !fits;
      if (!fits) return;
      found += 1;
      foundOlder = foundOlder || (older !== null && older.contains(row));
    });
    matches.textContent = words.length ? found + " of " + rows.length : "";
    // The folded ones are opened while the filter finds something among them.
    if (older && words.length && foundOlder && !older.open) {
      older.open = opened = true;
    } else if (older && opened && !(words.length && foundOlder)) {
      older.open = opened = false;
    }
  }

  field.addEventListener("input", function () {
    clearTimeout(waiting);
    waiting = setTimeout(apply, rows.length > 1000 ? 150 : 0);
  });
  field.addEventListener("keydown", function (event) {
    if (event.key !== "Escape" || !field.value) return;
    event.preventDefault();
    field.value = "";
    apply();
  });
  field.parentElement.hidden = false;
})();
