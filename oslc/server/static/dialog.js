// The end of a delegated dialog (OSLC Core 3.0, Delegated Dialogs): the result goes
// to the page around it as a message, or, where the address asks for it, in the
// name of the window, which then returns to where that name said.
"use strict";
(function () {
  const body = document.body;
  // A page that the server made anew has lost the fragment; a field keeps it.
  const protocol = window.location.hash || body.dataset.protocol || "";
  for (const field of document.querySelectorAll("input[name=protocol]")) {
    field.value = protocol;
  }

  function answer(results) {
    const text = "oslc-response:" + JSON.stringify({ "oslc:results": results });
    if (protocol === "#oslc-core-windowName-1.0") {
      const back = window.name;
      window.name = text;
      if (/^https?:/.test(back)) {
        window.location.replace(back);
      }
      return;
    }
    (window.opener || window.parent).postMessage(text, "*");
  }

  if (body.dataset.result) {
    answer([{ "oslc:label": body.dataset.label, "rdf:resource": body.dataset.result }]);
  }
  const cancel = document.getElementById("cancel");
  if (cancel) {
    cancel.addEventListener("click", function () { answer([]); });
  }
  const pick = document.getElementById("pick");
  if (pick) {
    pick.addEventListener("submit", function (event) {
      event.preventDefault();
      const chosen = [];
      for (const box of pick.querySelectorAll("input[name=resource]:checked")) {
        chosen.push({ "oslc:label": box.dataset.label, "rdf:resource": box.value });
      }
      const hint = document.getElementById("none");
      hint.hidden = chosen.length > 0;
      if (chosen.length > 0) {
        answer(chosen);
      }
    });
  }
})();
