// What survives a reload: the key that stands for this guest, written before it is first used, and then the place.
const show = location.pathname.split("/").filter(Boolean).pop();
const queue = `/v1/shows/${show}/queue`;
const shelf = `boxoffice-queue-${show}`;
let mine = {};
let keeps = true;
try {
  mine = JSON.parse(localStorage.getItem(shelf)) || {};
} catch {
  mine = {};
}

function keep() {
  try {
    localStorage.setItem(shelf, JSON.stringify(mine));
  } catch {
    keeps = false;
  }
}

function forget() {
  mine = {};
  try {
    localStorage.removeItem(shelf);
  } catch {
    keeps = false;
  }
}

// Pages that did not come over TLS have no randomUUID.
function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const digit = (c) => (c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (c / 4)))).toString(16);
  return "10000000-1000-4000-8000-100000000000".replace(/[018]/g, digit);
}
