// What people see and hear. Nothing here asks the service for anything.
const at = (id) => document.getElementById(id);
const count = new Intl.NumberFormat("en-GB");
const SPOKEN_EVERY = 30000;
let name = "Waiting room";
let topic = "One moment …";
let clock = 0;
let last = "";
let spoken = { words: "", at: -Infinity };
// How far the clock of this device is behind the service's.
let behind = 0;

const serverNow = () => Date.now() + behind;

function text(id, words) {
  if (at(id).textContent !== words) at(id).textContent = words;
}

function shown(id, is) {
  at(id).hidden = !is;
}

// Whoever cannot see hears this, and nothing else of what changes.
function announce(words) {
  spoken = { words, at: Date.now() };
  text("spoken", words);
}

// What moves all the time is told now and then, and near the front more often.
function mention(words, soon) {
  const due = Date.now() - spoken.at > (soon ? SPOKEN_EVERY / 6 : SPOKEN_EVERY);
  if (due && words !== spoken.words) announce(words);
}

function say(headline, detail = "", next = "") {
  text("headline", headline);
  text("detail", detail);
  text("next", next);
  shown("what", next !== "");
  title(headline);
  announce([headline, detail, next].filter(Boolean).join(" "));
}

function title(words) {
  topic = words;
  const whole = `${topic} · ${name}`;
  if (document.title !== whole) document.title = whole;
}

// Takes away what belongs to the state before.
function clean() {
  clearInterval(clock);
  // It would hide that it is the visitor's turn.
  at("sure").close();
  for (const id of ["clock", "checking", "numbers", "go", "token", "seal", "leave"]) shown(id, false);
}

function describe(body) {
  name = body.name;
  text("show", name);
  title(topic);
  const format = { weekday: "long", day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit" };
  const zone = { timeZone: body.time_zone, timeZoneName: "short" };
  const when = new Date(body.starts_at).toLocaleString("en-GB", { ...format, ...zone });
  text("when", `${when}, ${body.venue.name}`);
  shown("when", true);
}

function interrupted(words) {
  if (at("connection").hidden || at("connection").textContent !== words) announce(words);
  text("connection", words);
  shown("connection", true);
}

function connected() {
  if (at("connection").hidden) return;
  shown("connection", false);
  announce("The connection is back.");
}

function duration(seconds) {
  const two = (part) => String(part).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

function countdown(until, tell) {
  clearInterval(clock);
  const tick = () => {
    const words = tell(duration(Math.max(0, Math.round((new Date(until) - serverNow()) / 1000))));
    text("clock", words);
  };
  tick();
  shown("clock", true);
  clock = setInterval(tick, 1000);
}

function wait(seconds) {
  if (seconds === null || seconds === undefined) return "not known yet";
  if (seconds < 60) return "less than a minute";
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 90) return minutes === 1 ? "about a minute" : `about ${minutes} minutes`;
  return `about ${Math.round(minutes / 60)} hours`;
}

function people(ahead) {
  if (ahead === 0) return "You are next.";
  return ahead === 1 ? "1 person is ahead of you." : `${count.format(ahead)} people are ahead of you.`;
}

function action(words, what) {
  text("go", words);
  at("go").onclick = what;
  at("go").disabled = false;
  shown("go", true);
}

function checking(tries, expected) {
  const percent = Math.round(100 * (1 - Math.exp(-tries / expected)));
  at("check").value = percent;
  at("check").setAttribute("aria-valuetext", `${percent} percent likely to be done`);
  text("detail", `Your browser solves a small puzzle, so that programs cannot fill the queue: ${count.format(tries)} of about ${count.format(expected)} tries.`);
  shown("checking", true);
}

function left(availability) {
  const classes = availability.classes || [];
  const free = classes.reduce((sum, it) => sum + it.available, 0);
  const none = "All tickets are taken at the moment. Some may come back while you wait.";
  text("left", free > 0 ? `Tickets left: ${count.format(free)}` : none);
  shown("left", classes.length > 0);
}

const faces = {
  waiting_to_open(body, changed) {
    if (changed) {
      say("You are early", "The queue has not opened yet.", "Everybody who is here before the opening gets a place by lot, so being first does not matter now. Keep this page open: your place appears by itself.");
      title("You are early");
      if (body.draw_hash) text("seal", `The draw was sealed before anybody came. Its seal: ${body.draw_hash}`);
      shown("seal", Boolean(body.draw_hash));
    }
    if (body.opens_at) countdown(body.opens_at, (time) => `It opens in ${time}.`);
  },

  queued(body, changed) {
    const headline = body.paused ? "The queue is paused" : "You are in the queue";
    const words = people(body.ahead);
    const stored = keeps ? "" : " Your browser does not let this page keep anything, so do not reload it.";
    if (changed) say(headline, words, `Keep this page open: it changes by itself when it is your turn. You then have a short time to go on to the checkout.${stored}`);
    text("headline", headline);
    text("detail", body.paused ? `Nobody is let in for now. Your place is kept. ${words}` : words);
    text("ahead", count.format(body.ahead));
    text("place", count.format(body.place));
    text("wait", body.paused ? "paused" : wait(body.estimated_wait_s));
    const gone = mine.from - body.ahead;
    at("progress").value = Math.round((100 * (gone + 1)) / (mine.from + 2));
    at("progress").setAttribute("aria-valuetext", `${count.format(gone)} of ${count.format(mine.from)} people in front of you have gone`);
    shown("numbers", true);
    if (!changed) mention(body.paused ? `${headline}. ${words}` : words, body.ahead < 4);
    title(body.paused ? headline : body.ahead === 0 ? "You are next" : `${count.format(body.ahead)} ahead of you`);
  },

  admitted(body, changed) {
    if (changed) {
      say("It is your turn", "Go on to the checkout now.", "If you do not go on in time, your place goes to the next person.");
      action("Go to the checkout", enter);
    }
    countdown(body.enter_by, (time) => {
      title(`Your turn! ${time}`);
      return `Go on within ${time}.`;
    });
  },

  in_checkout(body, changed) {
    if (changed) {
      say("You are in the checkout", "You can place one order.", "If you closed the checkout, you can go back to it from here.");
      action("Back to the checkout", enter);
    }
    if (body.checkout_expires_at) countdown(body.checkout_expires_at, (time) => `Order within ${time}.`);
  },
};

function draw(body) {
  const mood = `${body.status} ${Boolean(body.paused)}`;
  const changed = last !== mood;
  last = mood;
  if (changed) clean();
  shown("leave", ["waiting_to_open", "queued", "admitted"].includes(body.status));
  faces[body.status](body, changed);
}
