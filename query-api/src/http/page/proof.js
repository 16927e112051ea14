"use strict";
// Looks for a nonce with which SHA-256 of `<start><nonce>` begins with so many zero bits. It runs in a worker of its own,
// and has a SHA-256 (FIPS 180-4) of its own, because the browser's is slow for so little, and not there without TLS.

const ROUND = new Int32Array(64);
const INITIAL = new Int32Array(8);
// The first bits of the fractional parts of the cube and square roots of the first primes.
for (let candidate = 2, found = 0; found < 64; candidate += 1) {
  let prime = true;
  for (let divisor = 2; divisor * divisor <= candidate; divisor += 1) prime = prime && candidate % divisor !== 0;
  if (!prime) continue;
  if (found < 8) INITIAL[found] = fraction(candidate, 2n);
  ROUND[found] = fraction(candidate, 3n);
  found += 1;
}

// The integer root of number · 2^(32 · power), by halving; its low 32 bits are the fraction's.
function fraction(number, power) {
  const target = BigInt(number) << (32n * power);
  let [low, high] = [0n, 1n << 40n];
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** power <= target) low = middle;
    else high = middle;
  }
  return Number(BigInt.asIntN(32, low));
}

const schedule = new Int32Array(64);

// Adds one block of 64 bytes to a state.
function compress(state, bytes, offset) {
  for (let i = 0; i < 16; i += 1) {
    const j = offset + 4 * i;
    schedule[i] = (bytes[j] << 24) | (bytes[j + 1] << 16) | (bytes[j + 2] << 8) | bytes[j + 3];
  }
  for (let i = 16; i < 64; i += 1) {
    const x = schedule[i - 15];
    const y = schedule[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    schedule[i] = (schedule[i - 16] + s0 + schedule[i - 7] + s1) | 0;
  }
  let a = state[0];
  let b = state[1];
  let c = state[2];
  let d = state[3];
  let e = state[4];
  let f = state[5];
  let g = state[6];
  let h = state[7];
  for (let i = 0; i < 64; i += 1) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[i] + schedule[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}

// What is left of a message after its whole blocks, with the padding and the length of the whole.
function padded(rest, length) {
  const bytes = new Uint8Array(rest.length + 9 > 64 ? 128 : 64);
  bytes.set(rest);
  bytes[rest.length] = 0x80;
  new DataView(bytes.buffer).setBigUint64(bytes.length - 8, BigInt(length) * 8n);
  return bytes;
}

// The state after the whole blocks of a message, and what is left.
function absorbed(message) {
  const state = new Int32Array(INITIAL);
  const whole = message.length - (message.length % 64);
  for (let offset = 0; offset < whole; offset += 64) compress(state, message, offset);
  return { state, rest: message.subarray(whole) };
}

function sha256(message) {
  const { state, rest } = absorbed(message);
  const bytes = padded(rest, message.length);
  for (let offset = 0; offset < bytes.length; offset += 64) compress(state, bytes, offset);
  return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

// Up to 2^36 nonces, all as long as each other: only their bytes change from try to try.
const DIGITS = new TextEncoder().encode("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_");
const NONCE = 6;

function solve(start, bits, tell) {
  const message = new TextEncoder().encode(start + "0".repeat(NONCE));
  const { state: before, rest } = absorbed(message.subarray(0, message.length - NONCE));
  const last = new Uint8Array(rest.length + NONCE);
  last.set(rest);
  const bytes = padded(last, message.length);
  const state = new Int32Array(8);
  for (let tries = 0; ; tries += 1) {
    for (let i = 0, number = tries; i < NONCE; i += 1, number = Math.floor(number / 64)) bytes[rest.length + i] = DIGITS[number % 64];
    state.set(before);
    for (let offset = 0; offset < bytes.length; offset += 64) compress(state, bytes, offset);
    if (Math.clz32(state[0]) >= bits) return new TextDecoder().decode(bytes.subarray(rest.length, rest.length + NONCE));
    if (tries % 65536 === 65535) tell(tries + 1);
  }
}

onmessage = ({ data }) => {
  postMessage({ nonce: solve(data.start, data.bits, (tries) => postMessage({ tries })) });
};
