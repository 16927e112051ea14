// The way of one visitor: joining, the check before it, entering, leaving, and every way in which it ends.
const MOST_CHECKS = 5;
let proof = "";
let checks = 0;

const endings = {
  completed: ["You have your tickets", "Your order is complete."],
  left: ["You gave up your place", ""],
  expired: ["Your place is over", "You did not go on or order in time, or the sale has ended."],
};

async function join() {
  const now = begin();
  mine.key = mine.key || uuid();
  keep();
  const headers = { "Idempotency-Key": mine.key };
  if (proof) headers["Queue-Proof"] = proof;
  const answer = await ask("POST", queue, headers);
  if (now !== turn) return;
  if (!answer) return cutOff(join);
  connected();
  if (answer.ok) {
    [proof, checks, tries] = ["", 0, 0];
    take(answer.body);
    return now === turn && listen();
  }
  refused(answer);
}

function refused({ status, type, body, after }) {
  if (type.endsWith("/challenge-required") && body.challenge) return prove(body.challenge);
  if (status === 429) {
    return again("Please wait a moment", "Too many requests came from you or your network. You are not in the queue yet.", after);
  }
  if (status >= 500) return again("Many people are coming at once", "You are not in the queue yet.", after);
  if (status === 409 && (after || type.endsWith("/request-in-progress"))) {
    return again("The queue is about to open", body.detail, after);
  }
  forget();
  if (status === 404) return stuck("There is no queue here", body.detail);
  stuck("You cannot join now", body.detail);
}

function again(headline, detail, after) {
  clean();
  last = "";
  const ms = after || Math.max(1000, pause());
  if (at("headline").textContent !== headline) say(headline, detail, "You need not do anything: this page tries again by itself.");
  countdown(serverNow() + ms, (time) => `Next try in ${time}.`);
  later(ms, join);
}

function stuck(headline, detail = "") {
  begin();
  clean();
  last = "";
  say(headline, detail);
  action("Try again", start);
}

// The work that joining may ask for; see proof.js.
function prove(challenge) {
  const now = begin();
  proof = "";
  checks += 1;
  if (checks > MOST_CHECKS) {
    checks = 0;
    return stuck("The check did not succeed", "You are not in the queue. Trying again may help, or another browser.");
  }
  if (!window.Worker || challenge.algorithm !== "sha-256") {
    return stuck("Your browser cannot do the check", "You are not in the queue. Another browser may help.");
  }
  clean();
  last = "";
  const expected = 2 ** challenge.bits;
  say("Checking that you are a person's browser …", "", "You join the queue by itself when the check is done. It happens once.");
  checking(0, expected);
  const worker = new Worker("/queue/assets/proof.js");
  const end = () => {
    worker.terminate();
    clearTimeout(timer);
    return now === turn;
  };
  worker.onmessage = ({ data }) => {
    if (now !== turn) return worker.terminate();
    if (data.nonce === undefined) return checking(data.tries, expected);
    end();
    proof = `${challenge.token}.${data.nonce}`;
    join();
  };
  worker.onerror = () => end() && stuck("The check could not be done", "You are not in the queue. Is the connection good?");
  worker.postMessage({ start: `${challenge.token}.${mine.key}.`, bits: challenge.bits });
  // A token that has expired is of no use any more, however much was tried with it.
  const life = new Date(challenge.expires_at) - serverNow();
  if (life > 0) later(life, () => end() && join());
}

async function enter() {
  at("go").disabled = true;
  const answer = await ask("POST", `${queue}/${mine.session}/enter`, { "Queue-Ticket": mine.ticket });
  at("go").disabled = false;
  if (!answer) return interrupted("There is no connection. Please try again.");
  if ([403, 410].includes(answer.status)) return lost();
  if (answer.ok) return checkout(answer.body);
  if (answer.status !== 409) return interrupted(`The shop is very busy. Please try again in ${Math.ceil((answer.after || 1000) / 1000)} seconds.`);
  poll();
}

function checkout({ checkout_token: token, checkout_url: address }) {
  const url = address ? new URL(address) : null;
  if (url && ["http:", "https:"].includes(url.protocol)) {
    // Behind the #: neither servers nor their logs see it.
    const kept = url.hash ? `${url.hash.slice(1)}&` : "";
    url.hash = `${kept}checkout_token=${encodeURIComponent(token)}&show=${show}`;
    return location.assign(url);
  }
  text("code", token);
  shown("token", true);
  text("detail", "Your order needs the token below: give it to the app or person that sent you here.");
  announce("Your checkout token is shown.");
}

async function leave() {
  at("sure").close();
  const answer = await ask("DELETE", `${queue}/${mine.session}`, { "Queue-Ticket": mine.ticket });
  if (answer && (answer.ok || [403, 410].includes(answer.status))) return over(...endings.left);
  if (answer && answer.status === 409) return poll();
  interrupted("Your place could not be given up. Please try again.");
}

function over(headline, detail) {
  begin();
  clean();
  forget();
  last = "";
  shown("connection", false);
  say(headline, detail);
  action("Join the queue again", start);
}

function lost() {
  over("Your place is lost", "You were away too long, or the place is not yours.");
}

function start() {
  begin();
  clean();
  say("One moment …");
  if (mine.session && mine.ticket) poll();
  else join();
}

at("leave").onclick = () => at("sure").showModal();
at("stay").onclick = () => at("sure").close();
at("give").onclick = leave;
at("copy").onclick = async () => {
  getSelection().selectAllChildren(at("code"));
  // Pages that did not come over TLS cannot copy by themselves.
  await navigator.clipboard?.writeText(at("code").textContent).then(() => text("copy", "Copied"), () => {});
};

ask("GET", `/v1/shows/${show}`).then((answer) => answer && answer.ok && describe(answer.body));
start();
