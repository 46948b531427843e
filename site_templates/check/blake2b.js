// BLAKE2b-512 without a key (RFC 7693): what minisign signs. No browser has it.

import { fractions } from "./hash.js";

const ORDER = [
  "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d", "2c6a0b834d75fe19",
  "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0", "0123456789abcdef", "ea489fd61c02b753",
].map((row) => Array.from(row, (digit) => parseInt(digit, 16)));

const cut = (value) => BigInt.asUintN(64, value);
const turn = (value, by) => (value >> by) | cut(value << (64n - by));

function mix(v, a, b, c, d, x, y) {
  v[a] = cut(v[a] + v[b] + x);
  v[d] = turn(v[d] ^ v[a], 32n);
  v[c] = cut(v[c] + v[d]);
  v[b] = turn(v[b] ^ v[c], 24n);
  v[a] = cut(v[a] + v[b] + y);
  v[d] = turn(v[d] ^ v[a], 16n);
  v[c] = cut(v[c] + v[d]);
  v[b] = turn(v[b] ^ v[c], 63n);
}

export function blake2b(data) {
  const initial = fractions().square;
  const state = [...initial];
  state[0] ^= 0x01010040n;
  const blocks = Math.max(1, Math.ceil(data.length / 128));
  const padded = new Uint8Array(blocks * 128);
  padded.set(data);
  const view = new DataView(padded.buffer);
  for (let block = 0; block < blocks; block++) {
    const last = block === blocks - 1;
    const m = Array.from({ length: 16 }, (_, i) => view.getBigUint64(128 * block + 8 * i, true));
    const v = [...state, ...initial];
    v[12] ^= BigInt(last ? data.length : 128 * (block + 1));
    if (last) v[14] = cut(~v[14]);
    for (const s of ORDER) {
      for (let i = 0; i < 4; i++) mix(v, i, 4 + i, 8 + i, 12 + i, m[s[2 * i]], m[s[2 * i + 1]]);
      for (let i = 0; i < 4; i++) mix(v, i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4), m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
    }
    state.forEach((value, i) => (state[i] = value ^ v[i] ^ v[i + 8]));
  }
  const out = new DataView(new ArrayBuffer(64));
  state.forEach((value, i) => out.setBigUint64(8 * i, value, true));
  return new Uint8Array(out.buffer);
}
