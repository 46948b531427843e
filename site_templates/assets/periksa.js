// Registers the checker (sw.js) and tells what it found: in the box where there is one, and above the page where something is wrong.
// Texts go in by textContent alone; the one Trusted Types policy lets through one address, that of the checker.
"use strict";
(() => {
const TEXTS = {
  id: {
    checked: "Sudah diperiksa: halaman ini sama dengan yang ditandatangani, rilis {release}.",
    first: "Pemeriksa baru saja dipasang. Yang terlihat ini datang langsung dari server; muat ulang untuk melihat salinan yang sudah diperiksa.",
    page: "Yang ada di server sama dengan yang ditandatangani, rilis {release}. Pemeriksa tidak dapat dipasang di sini, jadi ini hanya pembandingan.",
    mirror: "Situs asal {why}. Anda melihat salinan yang benar dari {source}, rilis {release}.",
    own: "Situs ini tidak dapat dihubungi. Anda melihat salinan yang sudah diperiksa, rilis {release}; mungkin sudah ada yang lebih baru.",
    stale: "Tanda tangannya benar, tetapi masa berlakunya habis pada {expires}. Tidak dapat dipastikan bahwa ini yang terbaru: situs mungkin tertahan, atau jam perangkat ini keliru.",
    kept: "Saat ini tidak dapat diperiksa: situs {why}. Anda melihat salinan rilis {release} yang dulu lolos pemeriksaan.",
    absent: "Halaman ini tidak ada dalam rilis {release} yang ditandatangani.",
    differs: "PERINGATAN: halaman di server berbeda dari yang ditandatangani. Jangan percayai angka di halaman ini.",
    unchecked: "Belum diperiksa: situs {why}. Angka di halaman ini tidak terjamin.",
    why: { fetch: "tidak dapat dihubungi", stale: "ketinggalan", other: "mengirim yang berbeda dari yang ditandatangani" },
    release: "Rilis sekarang",
    expires: "Tanda tangan berlaku sampai",
    signers: "Tanda tangan",
    witnesses: "Saksi catatan (log)",
    signed: "{name}: {count} tanda tangan, perlu {threshold}",
    roles: { root: "Kunci induk", timestamp: "Penanda yang terbaru", snapshot: "Daftar isi rilis", targets: "Pembagian kunci", site: "Isi situs" },
    results: "Angka hasil",
    shard: "Angka wilayah {code}",
    data: "Berkas data",
    of: "{count} dari {total}",
    needed: "diperlukan {needed}",
    unwitnessed: "dicatat di log sebagai satu dari {size} catatan, tanpa saksi",
    none: "rilis ini tidak dicatat di log",
  },
  en: {
    checked: "Checked: this page is what was signed, release {release}.",
    first: "The checker has just been installed. What you see came straight from the server; reload to see the checked copy.",
    page: "What the server has is what was signed, release {release}. The checker cannot be installed here, so this is a comparison only.",
    mirror: "The site itself {why}. You see the right copy from {source}, release {release}.",
    own: "The site cannot be reached. You see a copy that was checked, release {release}; there may be a newer one.",
    stale: "The signatures hold, but they ended {expires}. Whether this is the newest cannot be confirmed: the site may be held back, or this device's clock is wrong.",
    kept: "It cannot be checked now: the site {why}. You see the copy of release {release} that stood the check then.",
    absent: "This page is not in the signed release {release}.",
    differs: "WARNING: the page at the server is not what was signed. Do not trust the figures on this page.",
    unchecked: "Not checked: the site {why}. The figures on this page are not vouched for.",
    why: { fetch: "cannot be reached", stale: "is behind", other: "sends something else than what was signed" },
    release: "Current release",
    expires: "Signatures count until",
    signers: "Signatures",
    witnesses: "Witnesses of the log",
    signed: "{name}: {count} signatures, {threshold} needed",
    roles: { root: "Master keys", timestamp: "What is newest", snapshot: "Contents of the release", targets: "Who signs what", site: "The site's pages" },
    results: "Results",
    shard: "Results of area {code}",
    data: "Data files",
    of: "{count} of {total}",
    needed: "{needed} needed",
    unwitnessed: "in the log, one of {size} entries, without witnesses",
    none: "this release is in no log",
  },
};
const QUIET = new Set(["checked", "first", "page"]);
const scope = new URL("../", document.currentScript.src).href;
const checker = `${scope}sw.js`;
const path = decodeURIComponent(location.href.replace(/[?#].*/, "").slice(scope.length)).replace(/^$|\/$/, "$&index.html");
const language = document.documentElement.lang in TEXTS ? document.documentElement.lang : "id";
const texts = TEXTS[language];
const wasChecked = Boolean(navigator.serviceWorker?.controller);

const policy = globalThis.trustedTypes?.createPolicy("terbit", {
  createScriptURL: (url) => {
    if (url !== checker) throw new TypeError(`no script comes from ${url}`);
    return url;
  },
});
const address = policy ? policy.createScriptURL(checker) : checker;

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "?");
// As the page writes times.
const { zone: timeZone = "UTC", zoneName = "UTC" } = document.documentElement.dataset;
function time(spelt) {
  const written = (style) => new Date(spelt).toLocaleString(language.replace("en", "en-GB"), { timeZone, ...style });
  return `${written({ dateStyle: "long" })}${language === "en" ? "," : ""} ${written({ timeStyle: "short" })} ${zoneName}`;
}

function sentence(outcome) {
  const source = outcome.source ? new URL(outcome.source).host : "";
  return fill(texts[outcome.state], { ...outcome, source, expires: outcome.expires && time(outcome.expires), why: texts.why[outcome.code] ?? texts.why.other });
}

// What a role signs, in plain words.
function named(role) {
  const code = role.split("-")[1]?.replace(/^n/, "-");
  return texts.roles[role] ?? (code === "data" ? texts.data : code ? fill(texts.shard, { code }) : texts.results);
}

function details({ release, expires, signers, log }) {
  const signed = signers.map((one) => fill(texts.signed, { ...one, name: named(one.role) }));
  const seen = log?.witnesses.filter((one) => one.time !== null).length;
  const needed = log?.needed ? ` (${fill(texts.needed, log)})` : "";
  const witnesses = log?.witnesses.length ? fill(texts.of, { count: seen, total: log.witnesses.length }) + needed : log ? fill(texts.unwitnessed, log) : texts.none;
  return { release, expires: time(expires), signers: signed, witnesses };
}

function element(tag, text, properties) {
  return Object.assign(document.createElement(tag), { textContent: text }, properties);
}

function show(outcome) {
  const text = sentence(outcome);
  document.documentElement.dataset.periksa = outcome.state;
  const status = document.querySelector("[data-periksa-status]");
  if (status) status.textContent = text;
  const list = document.querySelector("[data-periksa-details]");
  if (list && outcome.signers) {
    const rows = Object.entries(details(outcome)).map(([name, value]) => {
      const row = document.createElement("div");
      row.append(element("dt", texts[name]), ...[value].flat().map((one) => element("dd", one)));
      return row;
    });
    list.replaceChildren(...rows);
    list.hidden = false;
  }
  if (!QUIET.has(outcome.state)) document.querySelector("header")?.prepend(element("p", text, { className: "banner", role: "alert" }));
}

function ask(worker, question) {
  return new Promise((answered) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = ({ data }) => answered(data);
    worker.postMessage(question, [channel.port2]);
  });
}

// The registration's worker once it works; an error if its installation fails, as it does where nothing verifies.
async function installed() {
  const registration = await navigator.serviceWorker.register(address, { updateViaCache: "all" });
  const worker = registration.active ?? registration.installing ?? registration.waiting;
  while (worker.state !== "activated") {
    if (worker.state === "redundant") throw new Error("the checker could not be installed");
    await new Promise((changed) => worker.addEventListener("statechange", changed, { once: true }));
  }
  return registration.active;
}

async function checkByWorker() {
  const worker = await installed();
  if (!wasChecked) {
    const loaded = performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => name.startsWith(scope));
    ask(worker, { keep: [path, ...loaded.map((name) => name.slice(scope.length))] });
  }
  const outcome = await ask(worker, { path });
  show(wasChecked || outcome.state !== "checked" ? outcome : { ...outcome, state: "first" });
}

function checkInPage() {
  const script = document.createElement("script");
  script.src = address;
  script.onload = async () => show(await globalThis.terbitCheckHere(scope, path));
  document.head.append(script);
}

if (location.protocol.startsWith("http") && !document.querySelector('script[src^="/_terbit/"]')) {
  if (navigator.serviceWorker) checkByWorker().catch(checkInPage);
  else checkInPage();
}
})();
