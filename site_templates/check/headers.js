// Headers of what the worker answers with: those that decide how a browser treats a file, as verifier/headers.py has them.

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-bQwKECqYJcgeVJYmBVbOguPVMYURLTgiu9APNcDvCgA='; img-src 'self'; connect-src 'self'; worker-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types terbit";

// One file with everything inside, to be kept and carried about; its own policy, which is within it, names the one script.
const STANDALONE =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const EMBED = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors *";
const isEmbed = (path) => /^embed\/.*\.html$/.test(path);

const TYPES = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  jsonld: "application/ld+json",
  xml: "application/xml",
  csv: "text/csv; charset=utf-8",
  atom: "application/atom+xml",
  svg: "image/svg+xml",
  png: "image/png",
  txt: "text/plain; charset=utf-8",
  toml: "text/plain; charset=utf-8",
  pub: "text/plain; charset=utf-8",
};

const policy = (path) => (path === "assets/periksa.html" ? STANDALONE : isEmbed(path) ? EMBED : POLICY);
const type = (path) => TYPES[path.split(".").at(-1)] ?? "application/octet-stream";

// `shown`: as a page of the site; else without any rights, and never as a page.
export const headersFor = (path, shown = true) => ({
  "content-type": shown ? type(path) : type(path).replace(/^text\/(html|css|javascript)|^image\/svg\+xml/, "text/plain"),
  "content-security-policy": shown ? policy(path) : "default-src 'none'; sandbox",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": isEmbed(path) ? "cross-origin" : "same-origin",
});
