// SHA-256 and SHA-512 (FIPS 180-4): the browser's own, or ours where a page has none, as over plain HTTP.

// The distances of FIPS 180-4, 4.1.2 and 4.1.3: Σ0, Σ1, σ0, σ1.
const DISTANCES = { 256: [2, 13, 22, 6, 11, 25, 7, 18, 3, 17, 19, 10], 512: [28, 34, 39, 14, 18, 41, 1, 8, 7, 19, 61, 6] };

// The largest integer whose `degree`-th power is at most `value` (Newton's method).
function root(value, degree) {
  let guess = 1n << (BigInt(value.toString(2).length) / degree + 1n);
  for (;;) {
    const next = ((degree - 1n) * guess + value / guess ** (degree - 1n)) / degree;
    if (next >= guess) return guess;
    guess = next;
  }
}

let constants;

// The first 64 bits of the fractional parts of the square roots (8) and cube roots (80) of the first primes; SHA-256 takes the upper halves.
export function fractions() {
  if (!constants) {
    const primes = [];
    for (let number = 2n; primes.length < 80; number++) if (primes.every((prime) => number % prime)) primes.push(number);
    const fraction = (degree) => (prime) => BigInt.asUintN(64, root(prime << (64n * degree), degree));
    constants = { square: primes.slice(0, 8).map(fraction(2n)), cube: primes.map(fraction(3n)) };
  }
  return constants;
}

// Both widths by one algorithm; numbers for 32 bits would be faster, but few pages come this way.
function sha2(size, data) {
  const bits = size / 8; // of a word
  const rounds = 48 + bits / 2;
  const block = 2 * bits;
  const cut = (value) => BigInt.asUintN(bits, value);
  const turn = (value, by) => (value >> by) | cut(value << (BigInt(bits) - by));
  const [a1, a2, a3, e1, e2, e3, w1, w2, w3, w4, w5, w6] = DISTANCES[size].map(BigInt);
  const upper = (value) => value >> BigInt(64 - bits);
  const key = fractions().cube.map(upper);
  const state = fractions().square.map(upper);
  const padded = new Uint8Array(Math.ceil((data.length + 1 + block / 8) / block) * block);
  padded.set(data);
  padded[data.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(data.length) * 8n);
  const w = new Array(rounds);
  for (let start = 0; start < padded.length; start += block) {
    for (let i = 0; i < rounds; i++) {
      if (i < 16) w[i] = bits === 64 ? view.getBigUint64(start + 8 * i) : BigInt(view.getUint32(start + 4 * i));
      else {
        const [x, y] = [w[i - 15], w[i - 2]];
        w[i] = cut(w[i - 16] + (turn(x, w1) ^ turn(x, w2) ^ (x >> w3)) + w[i - 7] + (turn(y, w4) ^ turn(y, w5) ^ (y >> w6)));
      }
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < rounds; i++) {
      const one = h + (turn(e, e1) ^ turn(e, e2) ^ turn(e, e3)) + ((e & f) ^ (~e & g)) + key[i] + w[i];
      const two = (turn(a, a1) ^ turn(a, a2) ^ turn(a, a3)) + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, cut(d + one), c, b, a, cut(one + two)];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] = cut(state[i] + value)));
  }
  const out = new DataView(new ArrayBuffer(8 * (bits / 8)));
  state.forEach((value, i) => (bits === 64 ? out.setBigUint64(8 * i, value) : out.setUint32(4 * i, Number(value))));
  return new Uint8Array(out.buffer);
}

const digest = (size) => async (data) => {
  const subtle = globalThis.crypto?.subtle;
  return subtle ? new Uint8Array(await subtle.digest(`SHA-${size}`, data)) : sha2(size, data);
};

export const sha256 = digest(256);
export const sha512 = digest(512);
