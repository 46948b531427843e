// JSON with one reading only (RFC 8259, narrowed), as verifier/formats/strict_json.py reads it, and canonical JSON to sign.

import { FormatError } from "./errors.js";
import { text, utf8 } from "./bytes.js";
import { MAX_JSON_DEPTH } from "./limits.js";

const SPACE = /[ \t\n\r]*/y;
const STRING = /"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"/y;
const OTHER = /true|false|null|-?(?:0|[1-9][0-9]{0,15})(?![0-9.eE])/y;

// Objects have no prototype: no key means anything but what the file says.
export function parseJson(data, what) {
  const source = text(data, what);
  let at = 0;

  function fail(why) {
    throw new FormatError(`${what}: ${why} at character ${at}`);
  }

  function take(pattern) {
    pattern.lastIndex = at;
    const found = pattern.exec(source)?.[0];
    at += found?.length ?? 0;
    return found;
  }

  // The next character that is no space; it is passed by if it is one of `wanted`.
  function next(wanted) {
    take(SPACE);
    return wanted.includes(source[at] ?? " ") ? source[at++] : undefined;
  }

  function value(depth) {
    if (depth > MAX_JSON_DEPTH) fail("nested too deeply");
    const opened = next("{[");
    if (opened) return opened === "{" ? object(depth + 1) : array(depth + 1);
    const spelt = take(STRING) ?? take(OTHER) ?? fail("no value, or a number that is no integer,");
    const found = JSON.parse(spelt);
    if (typeof found === "number" && !Number.isSafeInteger(found)) fail("a number too large");
    return found;
  }

  function object(depth) {
    const found = Object.create(null);
    if (next("}")) return found;
    do {
      take(SPACE);
      const key = JSON.parse(take(STRING) ?? fail("no key"));
      if (key in found) fail("the same key twice in one object");
      if (!next(":")) fail("no colon");
      found[key] = value(depth);
    } while (next(","));
    return next("}") ? found : fail("no comma or closing brace");
  }

  function array(depth) {
    const found = [];
    if (next("]")) return found;
    do found.push(value(depth));
    while (next(","));
    return next("]") ? found : fail("no comma or closing bracket");
  }

  const whole = value(0);
  take(SPACE);
  return at === source.length ? whole : fail("more than one value");
}

// By code points, as Python sorts; the language's own order is by UTF-16 units.
function byCodePoint(left, right) {
  const [a, b] = [Array.from(left), Array.from(right)];
  const at = a.findIndex((char, index) => char !== b[index]);
  return at < 0 ? a.length - b.length : at < b.length ? a[at].codePointAt(0) - b[at].codePointAt(0) : 1;
}

function spellJson(value) {
  if (typeof value === "string") return `"${value.replace(/["\\]/g, "\\$&")}"`;
  if (Array.isArray(value)) return `[${value.map(spellJson).join(",")}]`;
  if (value === null || typeof value !== "object") return String(value);
  return `{${Object.keys(value).sort(byCodePoint).map((key) => `${spellJson(key)}:${spellJson(value[key])}`).join(",")}}`;
}

// OLPC canonical JSON, the bytes that TUF signs.
export const canonicalJson = (value) => utf8(spellJson(value));
