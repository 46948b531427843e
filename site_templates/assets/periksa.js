// Registers the checker (sw.js) and tells what it found: in the box where there is one, and above the page where something is wrong.
// Texts go in by textContent alone; the one Trusted Types policy lets through one address, that of the checker.
"use strict";
(() => {
// In Indonesian and in English.
const TEXTS = {
  checked: [
    "Sudah diperiksa: halaman ini sama dengan yang ditandatangani, rilis {release}.",
    "Checked: this page is what was signed, release {release}.",
  ],
  first: [
    "Pemeriksa baru saja dipasang. Yang terlihat ini datang langsung dari server; muat ulang untuk melihat salinan yang sudah diperiksa.",
    "The checker has just been installed. What you see came straight from the server; reload to see the checked copy.",
  ],
  page: [
    "Yang ada di server sama dengan yang ditandatangani, rilis {release}. Pemeriksa tidak dapat dipasang di sini, jadi ini hanya pembandingan.",
    "What the server has is what was signed, release {release}. The checker cannot be installed here, so this is a comparison only.",
  ],
  mirror: [
    "Situs asal {why}. Anda melihat salinan yang benar dari {source}, rilis {release}.",
    "The site itself {why}. You see the right copy from {source}, release {release}.",
  ],
  own: [
    "Situs ini tidak dapat dihubungi. Anda melihat salinan yang sudah diperiksa, rilis {release}; mungkin sudah ada yang lebih baru.",
    "The site cannot be reached. You see a copy that was checked, release {release}; there may be a newer one.",
  ],
  stale: [
    "Tanda tangannya benar, tetapi masa berlakunya habis pada {expires}. Tidak dapat dipastikan bahwa ini yang terbaru: situs mungkin tertahan, atau jam perangkat ini keliru.",
    "The signatures hold, but they ended {expires}. Whether this is the newest cannot be confirmed: the site may be held back, or this device's clock is wrong.",
  ],
  kept: [
    "Saat ini tidak dapat diperiksa: situs {why}. Anda melihat salinan rilis {release} yang dulu lolos pemeriksaan.",
    "It cannot be checked now: the site {why}. You see the copy of release {release} that stood the check then.",
  ],
  absent: ["Halaman ini tidak ada dalam rilis {release} yang ditandatangani.", "This page is not in the signed release {release}."],
  differs: [
    "PERINGATAN: halaman di server berbeda dari yang ditandatangani. Jangan percayai angka di halaman ini.",
    "WARNING: the page at the server is not what was signed. Do not trust the figures on this page.",
  ],
  unchecked: [
    "Belum diperiksa: situs {why}. Angka di halaman ini tidak terjamin.",
    "Not checked: the site {why}. The figures on this page are not vouched for.",
  ],
  why_fetch: ["tidak dapat dihubungi", "cannot be reached"],
  why_stale: ["ketinggalan", "is behind"],
  why_other: ["mengirim yang berbeda dari yang ditandatangani", "sends something else than what was signed"],
  release: ["Rilis sekarang", "Current release"],
  expires: ["Tanda tangan berlaku sampai", "Signatures count until"],
  signers: ["Tanda tangan", "Signatures"],
  witnesses: ["Saksi catatan (log)", "Witnesses of the log"],
  signed: ["{name}: {count} (perlu {threshold})", "{name}: {count} ({threshold} needed)"],
  role_root: ["Kunci induk", "Master keys"],
  role_timestamp: ["Penanda yang terbaru", "What is newest"],
  role_snapshot: ["Daftar isi rilis", "Contents of the release"],
  role_targets: ["Pembagian kunci", "Who signs what"],
  role_site: ["Isi situs", "The site's pages"],
  results: ["Angka hasil", "Results"],
  shard: ["Angka wilayah {code}", "Results of area {code}"],
  data: ["Berkas data", "Data files"],
  of: ["{count} dari {total}", "{count} of {total}"],
  needed: ["diperlukan {needed}", "{needed} needed"],
  unwitnessed: ["dicatat di log sebagai satu dari {size} catatan, tanpa saksi", "in the log, one of {size} entries, without witnesses"],
  none: ["rilis ini tidak dicatat di log", "this release is in no log"],
};
const find = (selector) => document.querySelector(selector);
const QUIET = new Set(["checked", "first", "page"]);
const scope = new URL("../", document.currentScript.src).href;
const checker = `${scope}sw.js`;
const path = decodeURIComponent(location.href.replace(/[?#].*/, "").slice(scope.length)).replace(/^$|\/$/, "$&index.html");
const english = document.documentElement.lang === "en";
const text = (key) => TEXTS[key]?.[Number(english)];
const wasChecked = Boolean(navigator.serviceWorker?.controller);

const policy = globalThis.trustedTypes?.createPolicy("terbit", {
  createScriptURL: (url) => {
    if (url !== checker) throw new TypeError(url);
    return url;
  },
});
const address = policy ? policy.createScriptURL(checker) : checker;

const fill = (key, values) => text(key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "?");
// As the page writes times.
const { zone: timeZone = "UTC", zoneName = "UTC" } = document.documentElement.dataset;
function time(spelt) {
  const written = (style) => new Date(spelt).toLocaleString(english ? "en-GB" : "id", { timeZone, ...style });
  return `${written({ dateStyle: "long" })}${english ? "," : ""} ${written({ timeStyle: "short" })} ${zoneName}`;
}

function sentence(outcome) {
  const source = outcome.source ? new URL(outcome.source).host : "";
  return fill(outcome.state, { ...outcome, source, expires: outcome.expires && time(outcome.expires), why: text(`why_${outcome.code}`) ?? text("why_other") });
}

// What a role signs, in plain words.
function named(role) {
  const code = role.split("-")[1]?.replace(/^n/, "-");
  return text(`role_${role}`) ?? (code === "data" ? text("data") : code ? fill("shard", { code }) : text("results"));
}

function details({ release, expires, signers, log }) {
  const signed = signers.map((one) => fill("signed", { ...one, name: named(one.role) }));
  const seen = log?.witnesses.filter((one) => one.time !== null).length;
  const needed = log?.needed ? ` (${fill("needed", log)})` : "";
  const witnesses = log?.witnesses.length ? fill("of", { count: seen, total: log.witnesses.length }) + needed : log ? fill("unwitnessed", log) : text("none");
  return { release, expires: time(expires), signers: signed, witnesses };
}

function element(tag, text, properties) {
  return Object.assign(document.createElement(tag), { textContent: text }, properties);
}

function show(outcome) {
  const said = sentence(outcome);
  document.documentElement.dataset.periksa = outcome.state;
  const status = find("[data-periksa-status]");
  if (status) status.textContent = said;
  const list = find("[data-periksa-details]");
  if (list && outcome.signers) {
    const rows = Object.entries(details(outcome)).map(([name, value]) => {
      const row = document.createElement("div");
      row.append(element("dt", text(name)), ...[value].flat().map((one) => element("dd", one)));
      return row;
    });
    list.replaceChildren(...rows);
    list.hidden = false;
  }
  if (!QUIET.has(outcome.state)) find("header")?.prepend(element("p", said, { className: "banner", role: "alert" }));
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
    if (worker.state === "redundant") throw new Error("not installed");
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

if (location.protocol.startsWith("http") && !find('script[src^="/_terbit/"]')) {
  if (navigator.serviceWorker) checkByWorker().catch(checkInPage);
  else checkInPage();
}
})();
