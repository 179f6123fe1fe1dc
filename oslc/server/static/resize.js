// Tells the page around a preview or a dialog how high it is (OSLC Core 3.0,
// Resource Preview, resizing).
"use strict";
function resize() {
  const height = Math.ceil(document.documentElement.getBoundingClientRect().height);
  const to = window.opener || window.parent;
  if (to !== window) {
    to.postMessage('oslc-resize:{"oslc:hintHeight":"' + height + 'px"}', "*");
  }
}
window.addEventListener("load", resize);
