// Headers of what the worker answers with: those that decide how a browser treats a file, as verifier/headers.py has them.

const END = "; base-uri 'none'; form-action 'none'; frame-ancestors ";
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-YbnkwhU7U8i4Rh3EOwaXhoAkiU6cfrMaueSBJjf53zk='; img-src 'self'; connect-src 'self'; worker-src 'self'" +
  `${END}'none'; require-trusted-types-for 'script'; trusted-types terbit`;

const EMBED = `default-src 'none'; style-src 'self'${END}*`;
const isEmbed = (path) => /^embed\/.*\.html$/.test(path);

const TEXTS = { html: "html", css: "css", js: "javascript", csv: "csv", txt: "plain", toml: "plain", pub: "plain" };
const OTHERS = { json: "application/json", jsonld: "application/ld+json", xml: "application/xml", atom: "application/atom+xml", svg: "image/svg+xml", png: "image/png" };

const policy = (path) => (isEmbed(path) ? EMBED : POLICY);
function type(path) {
  const suffix = path.split(".").at(-1);
  return TEXTS[suffix] ? `text/${TEXTS[suffix]}; charset=utf-8` : (OTHERS[suffix] ?? "application/octet-stream");
}

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
