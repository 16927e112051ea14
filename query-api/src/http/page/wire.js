// Asking the service, and being told by it. One thing goes on at a time: whatever begins ends what went on before.
const PATIENCE = 30000;
const OPENING = 10000;
// The service says something at least every minute.
const SILENCE = 90000;
const NO_SOCKETS_FOR = 300000;
let turn = 0;
let timer = 0;
let watchdog = 0;
let socket = null;
let tries = 0;
// How many sockets in a row told nothing, and when the last one was tried.
let mute = { times: 0, at: 0 };
let heard = 0;
// What is to be tried again as soon as the network is back.
let resume = null;

function begin() {
  clearTimeout(timer);
  clearTimeout(watchdog);
  const old = socket;
  socket = null;
  if (old) old.close();
  resume = null;
  turn += 1;
  return turn;
}

function later(ms, what) {
  clearTimeout(timer);
  // A longer time would be over at once.
  timer = setTimeout(what, Math.min(ms, 2 ** 31 - 1));
}

// Twice as long every time, and never everybody at once.
function pause() {
  tries += 1;
  return Math.min(30000, 500 * 2 ** Math.min(tries, 6)) * (0.5 + Math.random() / 2);
}

// Null if no answer came, or none is wanted any more.
async function ask(method, path, headers = {}) {
  const options = { method, headers: { ...headers }, cache: "no-store", signal: AbortSignal.timeout?.(PATIENCE) };
  if (method !== "GET") {
    options.headers["Content-Type"] = "application/json";
    options.headers["Idempotency-Key"] ??= uuid();
    options.body = "{}";
  }
  try {
    const response = await fetch(path, options);
    const body = await response.json().catch(() => ({}));
    const date = Date.parse(response.headers.get("Date"));
    // The header has whole seconds; less is not worth a correction.
    behind = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
    const after = 1000 * (Number.parseInt(response.headers.get("Retry-After"), 10) || 0);
    return { ok: response.ok, status: response.status, type: body.type || "", body, after };
  } catch {
    return null;
  }
}

function cutOff(what) {
  interrupted(mine.session ? "The connection is interrupted. Your place is kept for a while; this page goes on trying."
    : "There is no connection. You are not in the queue yet; this page goes on trying.");
  later(pause(), what);
  resume = what;
}

function take(body) {
  mine.session = body.session;
  mine.ticket = body.queue_ticket;
  if (body.ahead !== null && body.ahead !== undefined) mine.from = Math.max(mine.from ?? body.ahead, body.ahead);
  keep();
  if (endings[body.status]) return over(...endings[body.status]);
  draw(body);
}

function socketsWork() {
  return Boolean(window.WebSocket) && (mute.times < 3 || Date.now() - mute.at > NO_SOCKETS_FOR);
}

// A socket first; where none comes through, questions at the pace that the answers ask for.
function listen() {
  begin();
  const address = new URL(`/v1/shows/${show}/live`, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.searchParams.set("session", mine.session);
  address.searchParams.set("queue_ticket", mine.ticket);
  mute = { times: mute.times + 1, at: Date.now() };
  let own;
  try {
    own = new WebSocket(address);
  } catch {
    mute.times = Infinity;
    return poll();
  }
  socket = own;
  const began = Date.now();
  const ended = (code) => {
    if (own !== socket) return;
    begin();
    if (Date.now() - began > OPENING) tries = 0;
    // The service asks everybody to come again now and then; that is no interruption.
    if (code === 1001 && mute.times === 0) return later(2000 * Math.random(), poll);
    if (mute.times === 0) return cutOff(poll);
    later(pause(), poll);
  };
  const watch = (ms) => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => ended(0), ms);
  };
  watch(OPENING);
  own.onclose = (event) => ended(event.code);
  own.onmessage = (event) => {
    if (own !== socket) return;
    watch(SILENCE);
    heard = Date.now();
    mute.times = 0;
    connected();
    const told = JSON.parse(event.data);
    if (told.type === "queue") take(told.queue);
    if (told.type === "availability") left(told.availability);
  };
}

async function poll() {
  const now = begin();
  const answer = await ask("GET", `${queue}/${mine.session}`, { "Queue-Ticket": mine.ticket });
  if (now !== turn) return;
  if (!answer) return cutOff(poll);
  if ([403, 404, 410].includes(answer.status)) return lost();
  if (!answer.ok) {
    interrupted("The shop is very busy. Your place is kept for a while; this page goes on trying.");
    return later(Math.max(answer.after, pause()), poll);
  }
  connected();
  heard = Date.now();
  take(answer.body);
  if (now !== turn) return;
  if (socketsWork()) return listen();
  tries = 0;
  later(Math.max(1000, answer.body.poll_after_ms), poll);
}

addEventListener("offline", () => {
  if (mine.session) interrupted("You are offline. Your place is kept for a while; this page goes on as soon as you are back.");
});
addEventListener("online", () => {
  tries = 0;
  if (resume) resume();
  else if (socket) poll();
});
// A phone that slept may have missed the end of its connection.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return;
  if (resume) resume();
  else if (socket && Date.now() - heard > OPENING) poll();
});
addEventListener("pageshow", (event) => {
  if (event.persisted && mine.session) poll();
});
