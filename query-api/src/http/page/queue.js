"use strict";
(() => {
  const show = location.pathname.split("/").filter(Boolean).pop();
  const queue = `/v1/shows/${show}/queue`;
  const memory = `boxoffice-queue-${show}`;
  const at = (id) => document.getElementById(id);
  const count = new Intl.NumberFormat();
  const ended = ["completed", "expired", "left"];
  // What survives a reload: the key that stands for this guest, and the place.
  let mine = {};
  try { mine = JSON.parse(localStorage.getItem(memory)) || {}; } catch { mine = {}; }
  let stream = null, broken = 0, timer = 0, tries = 0, last = "", clock = 0;

  const keep = () => { try { localStorage.setItem(memory, JSON.stringify(mine)); } catch { /* private browsing */ } };
  const forget = () => { mine = {}; try { localStorage.removeItem(memory); } catch { /* private browsing */ } };
  const text = (id, words) => { if (at(id).textContent !== words) at(id).textContent = words; };
  const shown = (id, is) => { at(id).hidden = !is; };
  const later = (ms, what) => { clearTimeout(timer); timer = setTimeout(what, ms); };
  const uuid = () => crypto.randomUUID ? crypto.randomUUID()
    : "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (c) => (c ^ crypto.getRandomValues(new Uint8Array(1))[0] & 15 >> c / 4).toString(16));

  function say(headline, detail = "", next = "") {
    text("headline", headline);
    text("detail", detail);
    text("next", next);
    document.title = headline;
  }

  function connected(is) {
    text("connection", is ? "" : "The connection is interrupted. Your place is kept; this page goes on trying.");
    if (is) tries = 0;
  }

  // Twice as long every time, and never all at once.
  function pause() {
    tries += 1;
    return Math.min(30000, 1000 * 2 ** Math.min(tries, 5)) * (0.5 + Math.random() / 2);
  }

  async function ask(method, path, headers = {}) {
    const options = { method, headers: { ...headers }, cache: "no-store" };
    if (method !== "GET") {
      options.headers["Content-Type"] = "application/json";
      options.headers["Idempotency-Key"] = options.headers["Idempotency-Key"] || uuid();
      options.body = "{}";
    }
    const response = await fetch(path, options);
    const body = response.status === 204 ? {} : await response.json().catch(() => ({}));
    return { response, body, after: 1000 * Number(response.headers.get("Retry-After") || 0) };
  }

  async function describe() {
    const { response, body } = await ask("GET", `/v1/shows/${show}`).catch(() => ({}));
    if (!response || !response.ok) return;
    text("show", body.name);
    const when = new Date(body.starts_at).toLocaleString([], { dateStyle: "full", timeStyle: "short", timeZone: body.time_zone });
    text("when", `${when}, ${body.venue.name}`);
    shown("when", true);
  }

  async function join() {
    mine.key = mine.key || uuid();
    keep();
    try {
      const { response, body, after } = await ask("POST", queue, { "Idempotency-Key": mine.key });
      if (response.ok) {
        connected(true);
        mine.from = body.ahead ?? null;
        take(body);
        return listen();
      }
      if (response.status === 409 && !after || response.status === 404) {
        forget();
        return say("You cannot join now", body.detail || "", "Reload this page later to try again.");
      }
      say("Many people are coming at once", "You are not in the queue yet. This page tries again by itself.");
      later(Math.max(after, 1000) * (1 + Math.random()), join);
    } catch {
      connected(false);
      later(pause(), join);
    }
  }

  // Events first; where they do not come through, questions at the pace that the answers ask for.
  function listen() {
    if (stream) stream.close();
    if (!window.EventSource || broken > 3) return poll();
    stream = new EventSource(`${queue}/${mine.session}/events?queue_ticket=${encodeURIComponent(mine.ticket)}`);
    stream.addEventListener("open", () => { broken = 0; connected(true); });
    stream.addEventListener("status", (event) => { connected(true); take(JSON.parse(event.data)); });
    stream.addEventListener("error", () => {
      stream.close();
      broken += 1;
      connected(false);
      later(pause(), poll);
    });
  }

  async function poll() {
    try {
      const { response, body, after } = await ask("GET", `${queue}/${mine.session}`, { "Queue-Ticket": mine.ticket });
      if (response.status === 410 || response.status === 403) return lost();
      if (response.ok) {
        const goesOn = broken <= 3 && window.EventSource;
        connected(true);
        take(body);
        if (ended.includes(body.status)) return;
        return later(goesOn ? 0 : body.poll_after_ms, goesOn ? listen : poll);
      }
      connected(false);
      later(Math.max(after, pause()), poll);
    } catch {
      connected(false);
      later(pause(), poll);
    }
  }

  function take(body) {
    mine.session = body.session;
    mine.ticket = body.queue_ticket;
    keep();
    draw(body);
  }

  function wait(seconds) {
    if (seconds === null || seconds === undefined) return "not known yet";
    if (seconds < 60) return "less than a minute";
    const minutes = Math.ceil(seconds / 60);
    if (minutes < 90) return minutes === 1 ? "about a minute" : `about ${minutes} minutes`;
    return `about ${Math.round(minutes / 60)} hours`;
  }

  function countdown(until, tell) {
    clearInterval(clock);
    const tick = () => {
      const left = Math.max(0, Math.round((new Date(until) - Date.now()) / 1000));
      tell(`${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`);
    };
    tick();
    clock = setInterval(tick, 1000);
  }

  function draw(body) {
    const changed = last !== body.status;
    last = body.status;
    const waiting = body.status === "queued";
    shown("numbers", waiting);
    shown("leave", ["waiting_to_open", "queued", "admitted"].includes(body.status));
    if (changed) { shown("go", false); clearInterval(clock); }
    if (body.status === "waiting_to_open") {
      if (changed) say("You are early", "Everybody who comes before the opening gets a place by lot: being first does not matter now.", "Keep this page open. Your place appears here when the queue opens.");
      countdown(body.opens_at, (left) => text("connection", `The queue opens in ${left}.`));
    } else if (waiting) {
      mine.from = Math.max(mine.from ?? body.ahead, body.ahead);
      text("ahead", count.format(body.ahead));
      text("place", count.format(body.place));
      text("wait", body.paused ? "paused" : wait(body.estimated_wait_s));
      at("progress").value = mine.from > 0 ? 1 - body.ahead / (mine.from + 1) : 0.9;
      const people = body.ahead === 0 ? "You are next." : body.ahead === 1 ? "1 person is ahead of you." : `${count.format(body.ahead)} people are ahead of you.`;
      // Said aloud only now and then: whoever cannot see would hear nothing else.
      const headline = body.paused ? "The queue is paused" : "You are in the queue";
      const rough = body.ahead < 10 || changed || Math.abs((mine.said ?? Infinity) - body.ahead) > body.ahead / 10;
      if (rough || at("headline").textContent !== headline) {
        mine.said = body.ahead;
        say(headline, body.paused ? "Nobody is let in for now. Your place is kept." : people, "Keep this page open: it changes by itself when it is your turn, and you then have a short time to go on.");
      }
      document.title = `${count.format(body.position)}. in the queue`;
    } else if (body.status === "admitted") {
      if (changed) {
        say("It is your turn", "Go on to the checkout now.", "If you do not go on in time, your place goes to the next person.");
        action("Go to the checkout", enter);
      }
      countdown(body.enter_by, (left) => { text("connection", `Go on within ${left}.`); document.title = `Your turn! ${left}`; });
    } else if (body.status === "in_checkout") {
      if (changed) {
        say("You are in the checkout", "You can place one order.", "If you closed the checkout, you can go back to it.");
        action("Back to the checkout", enter);
      }
      if (body.checkout_expires_at) countdown(body.checkout_expires_at, (left) => text("connection", `Order within ${left}.`));
    } else {
      const why = { completed: ["You have your tickets", "Your order is complete."], left: ["You gave up your place", ""], expired: ["Your place is over", "You did not go on or order in time."] }[body.status];
      over(why || ["Your place is over", ""]);
    }
  }

  function over([headline, detail]) {
    if (stream) stream.close();
    clearTimeout(timer);
    clearInterval(clock);
    forget();
    shown("numbers", false);
    shown("leave", false);
    text("connection", "");
    say(headline, detail);
    action("Join the queue again", () => { last = ""; shown("go", false); say("One moment …"); join(); });
  }

  function lost() {
    over(["Your place is lost", "You were away too long, or the place is not yours."]);
  }

  function action(words, what) {
    const button = at("go");
    button.textContent = words;
    button.onclick = what;
    button.hidden = false;
    button.focus();
  }

  async function enter() {
    at("go").disabled = true;
    try {
      const { response, body } = await ask("POST", `${queue}/${mine.session}/enter`, { "Queue-Ticket": mine.ticket });
      if (response.status === 410 || response.status === 403) return lost();
      if (!response.ok) throw new Error(String(response.status));
      const token = `checkout_token=${encodeURIComponent(body.checkout_token)}`;
      if (body.checkout_url) {
        // Behind the #: neither servers nor their logs see it.
        location.assign(`${body.checkout_url}#${token}&show=${show}`);
      } else {
        say("You may order now", "Your checkout token is in the address of this page.");
        location.hash = token;
      }
    } catch {
      connected(false);
    } finally {
      at("go").disabled = false;
    }
  }

  at("leave").onclick = async () => {
    try {
      const { response } = await ask("DELETE", `${queue}/${mine.session}`, { "Queue-Ticket": mine.ticket });
      if (response.status === 204) over(["You gave up your place", ""]);
    } catch {
      connected(false);
    }
  };
  addEventListener("online", () => { if (mine.session && !ended.includes(last)) { tries = 0; poll(); } });

  describe();
  if (mine.session && mine.ticket) poll(); else join();
})();
