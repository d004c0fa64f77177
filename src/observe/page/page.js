
"use strict";
// Puts each picture that comes in the place of the one before, and says when none comes any more.
const main = document.querySelector("main");
const stale = document.getElementById("stale");
let heard = Date.now();

function show(html) {
  // Nobody's text is taken away while it is being copied.
  if (!getSelection().isCollapsed) return;
  const closed = [...main.querySelectorAll("details:not([open])")].map((it) => it.id);
  const moved = [...main.querySelectorAll(".wide, .words")].map((it) => [it.id, it.scrollLeft, it.scrollTop]);
  const focus = main.contains(document.activeElement) ? document.activeElement.id : "";
  main.innerHTML = html;
  for (const id of closed) document.getElementById(id)?.removeAttribute("open");
  for (const [id, left, top] of moved) if (left || top) document.getElementById(id)?.scrollTo({ left, top });
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
}

function listen() {
  const source = new EventSource("events");
  source.onmessage = (message) => {
    const end = message.data.indexOf("\n");
    heard = Date.now();
    document.title = message.data.slice(0, end);
    show(message.data.slice(end + 1));
    stale.hidden = true;
  };
  source.onerror = () => {
    warn();
    // It tries again by itself, but not after a refusal.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  };
}

function warn() {
  const time = new Date(heard).toLocaleTimeString();
  stale.textContent = `ostlerd is not reachable, or too many watch. What is below was so at ${time}; trying again.`;
  stale.hidden = false;
}

setInterval(() => { if (Date.now() - heard > 10000) warn(); }, 2000);
listen();
