// Bytes and their spellings: UTF-8, hexadecimal and base64, each read in one spelling only.

import { FormatError, malformed } from "./errors.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const utf8 = (text) => encoder.encode(text);

export function text(data, what) {
  try {
    return decoder.decode(data);
  } catch {
    throw new FormatError(`${what} is not UTF-8`);
  }
}

export const hex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");

export function fromHex(digits, what) {
  malformed(typeof digits !== "string" || digits.length % 2 || /[^0-9a-f]/i.test(digits), `${what} is not hexadecimal`);
  return Uint8Array.from({ length: digits.length / 2 }, (_, index) => parseInt(digits.slice(2 * index, 2 * index + 2), 16));
}

export const base64 = (data) => btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));

// The bytes (exactly `size` of them, if given) whose one canonical base64 this is.
export function fromBase64(spelt, what, size) {
  let data;
  try {
    data = Uint8Array.from(atob(spelt), (char) => char.charCodeAt(0));
  } catch {
    throw new FormatError(`${what} is not base64`);
  }
  malformed(base64(data) !== spelt, `${what} is not canonical base64`);
  malformed(size !== undefined && data.length !== size, `${what} has ${data.length} bytes, expected ${size}`);
  return data;
}

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export const same = (left, right) => left.length === right.length && left.every((byte, index) => byte === right[index]);
