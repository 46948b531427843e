// JSON with one reading only (RFC 8259, narrowed), as verifier/formats/strict_json.py reads it, and canonical JSON to sign.

import { FormatError } from "./errors.js";
import { text, utf8 } from "./bytes.js";
import { LIMITS } from "./limits.js";

const SPACE = /[ \t\n\r]*/y;
const STRING = /"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"/y;
const OTHER = /true|false|null|-?(?:0|[1-9][0-9]{0,15})(?![0-9.eE])/y;
const WORDS = { true: true, false: false, null: null };

class Reader {
  constructor(source) {
    this.source = source;
    this.at = 0;
  }

  fail(why) {
    throw new FormatError(`${why} at character ${this.at}`);
  }

  take(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.source)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  // The next character that is no space; it is passed by if it is one of `wanted`.
  next(wanted) {
    this.take(SPACE);
    const char = this.source[this.at];
    if (char !== undefined && wanted.includes(char)) {
      this.at++;
      return char;
    }
    return undefined;
  }

  value(depth) {
    if (depth > LIMITS.jsonDepth) this.fail("nested too deeply");
    const opened = this.next("{[");
    if (opened) return opened === "{" ? this.object(depth) : this.array(depth);
    const spelt = this.take(STRING);
    if (spelt) return JSON.parse(spelt);
    const word = this.take(OTHER);
    if (word === undefined) this.fail("no value, or a number that is no integer,");
    if (word in WORDS) return WORDS[word];
    const number = Number(word);
    if (!Number.isSafeInteger(number)) this.fail("a number too large");
    return number;
  }

  object(depth) {
    const found = Object.create(null);
    if (this.next("}")) return found;
    do {
      this.take(SPACE);
      const key = JSON.parse(this.take(STRING) ?? this.fail("no key"));
      if (key in found) this.fail("the same key twice in one object");
      if (!this.next(":")) this.fail("no colon");
      found[key] = this.value(depth + 1);
    } while (this.next(","));
    return this.next("}") ? found : this.fail("no comma or closing brace");
  }

  array(depth) {
    const found = [];
    if (this.next("]")) return found;
    do found.push(this.value(depth + 1));
    while (this.next(","));
    return this.next("]") ? found : this.fail("no comma or closing bracket");
  }
}

// Objects have no prototype: no key means anything but what the file says.
export function parseJson(data, what) {
  const reader = new Reader(text(data, what));
  try {
    const value = reader.value(0);
    reader.take(SPACE);
    return reader.at === reader.source.length ? value : reader.fail("more than one value");
  } catch (error) {
    throw new FormatError(`${what}: ${error.message}; it is not what was published`);
  }
}

// By code points, as Python sorts; the language's own order is by UTF-16 units.
function byCodePoint(left, right) {
  const [a, b] = [Array.from(left), Array.from(right)];
  const at = a.findIndex((char, index) => char !== b[index]);
  return at < 0 ? a.length - b.length : at < b.length ? a[at].codePointAt(0) - b[at].codePointAt(0) : 1;
}

function spell(value) {
  if (typeof value === "string") return `"${value.replace(/["\\]/g, "\\$&")}"`;
  if (Array.isArray(value)) return `[${value.map(spell).join(",")}]`;
  if (value === null || typeof value !== "object") return String(value);
  return `{${Object.keys(value).sort(byCodePoint).map((key) => `${spell(key)}:${spell(value[key])}`).join(",")}}`;
}

// OLPC canonical JSON, the bytes that TUF signs.
export const canonicalJson = (value) => utf8(spell(value));
