// Ed25519 verification (RFC 8032, 5.1.7, without the cofactor, as libsodium and BoringSSL do): the browser's own, or ours where it has none.

import { sha512 } from "./hash.js";
import { concat, same } from "./bytes.js";

const P = 2n ** 255n - 19n;
const ORDER_L = 2n ** 252n + 27742317777372353535851937790883648493n;

const mod = (value, by = P) => ((value % by) + by) % by;

function power(base, exponent) {
  let result = 1n;
  for (; exponent; exponent >>= 1n, base = (base * base) % P) if (exponent & 1n) result = (result * base) % P;
  return result;
}

const D = mod(-121665n * power(121666n, P - 2n));
const ROOT_OF_MINUS_ONE = power(2n, (P - 1n) / 4n);
const ZERO = [0n, 1n, 1n, 0n];

const integer = (littleEndian) => littleEndian.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

// Points are (X, Y, Z, T), x = X/Z, y = Y/Z, xy = T/Z; RFC 8032, 5.1.4.
function add([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = mod((y1 - x1) * (y2 - x2));
  const b = mod((y1 + x1) * (y2 + x2));
  const c = mod(2n * D * mod(t1 * t2));
  const d = mod(2n * z1 * z2);
  return [mod((b - a) * (d - c)), mod((d + c) * (b + a)), mod((d - c) * (d + c)), mod((b - a) * (b + a))];
}

function double([x, y, z]) {
  const a = mod(x * x);
  const b = mod(y * y);
  const h = a + b;
  const e = mod(h - (x + y) ** 2n);
  const g = a - b;
  const f = mod(2n * z * z + g);
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
}

// The point with these 32 bytes; undefined if there is none, or if y has another, shorter spelling.
function point(bytes) {
  const whole = integer(bytes);
  const y = whole & (2n ** 255n - 1n);
  if (y >= P) return undefined;
  const u = mod(y * y - 1n);
  const v = mod(D * y * y + 1n);
  let x = mod(u * power(v, 3n) * power(mod(u * power(v, 7n)), (P - 5n) / 8n));
  if (mod(v * x * x) !== u) x = mod(x * ROOT_OF_MINUS_ONE);
  if (mod(v * x * x) !== u || (x === 0n && whole >> 255n)) return undefined;
  if ((x & 1n) !== whole >> 255n) x = P - x;
  return [x, y, 1n, mod(x * y)];
}

function spell([x, y, z]) {
  const inverse = power(z, P - 2n);
  let whole = mod(y * inverse) | ((mod(x * inverse) & 1n) << 255n);
  return Uint8Array.from({ length: 32 }, () => {
    const byte = Number(whole & 255n);
    whole >>= 8n;
    return byte;
  });
}

function multiples(one) {
  const table = [ZERO];
  while (table.length < 16) table.push(add(table[table.length - 1], one));
  return table;
}

const BASE = point(Uint8Array.of(0x58, ...new Array(31).fill(0x66)));
let baseMultiples;

async function verifyOurselves(key, signature, message) {
  const known = point(key);
  if (!known) return false;
  const s = integer(signature.subarray(32));
  const k = mod(integer(await sha512(concat(signature.subarray(0, 32), key, message))), ORDER_L);
  const [x, y, z, t] = known;
  const minus = multiples([P - x, y, z, P - t]);
  baseMultiples ??= multiples(BASE);
  let sum = ZERO;
  for (let shift = 252n; shift >= 0n; shift -= 4n) {
    for (let i = 0; i < 4; i++) sum = double(sum);
    sum = add(add(sum, baseMultiples[(s >> shift) & 15n]), minus[(k >> shift) & 15n]);
  }
  return same(spell(sum), signature.subarray(0, 32));
}

async function verifyByBrowser(key, signature, message) {
  const subtle = crypto.subtle;
  return subtle.verify("Ed25519", await subtle.importKey("raw", key, "Ed25519", false, ["verify"]), signature, message);
}

let native;

// Whether the browser knows Ed25519: asked once, with a key that is certainly good.
function knowsEd25519() {
  native ??= (async () => {
    try {
      await crypto.subtle.importKey("raw", spell(BASE), "Ed25519", false, ["verify"]);
      return true;
    } catch {
      return false;
    }
  })();
  return native;
}

// True if `signature` (64 bytes) is that of `key` (32 bytes) over `message`; no other bytes are a signature.
export async function verifyEd25519(key, signature, message) {
  if (key.length !== 32 || signature.length !== 64 || integer(signature.subarray(32)) >= ORDER_L) return false;
  if (!(await knowsEd25519())) return verifyOurselves(key, signature, message);
  try {
    return await verifyByBrowser(key, signature, message);
  } catch {
    // A key that is no point of the curve.
    return false;
  }
}
