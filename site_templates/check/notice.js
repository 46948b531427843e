// The page that stands where nothing could be verified: it says so, and has no figure. Nothing from outside goes into it.

// In Indonesian and in English.
const NOTICES = {
  absent: ["Halaman ini tidak ada dalam rilis yang ditandatangani", "This page is not in the signed release"],
  absent_what: ["Tidak ada daftar bertanda tangan yang memuat alamat ini, jadi tidak ada yang ditampilkan.", "No signed list has this address, so nothing is shown."],
  unchecked: ["Halaman ini tidak dapat diperiksa", "This page cannot be checked"],
  unchecked_what: [
    "Tidak ada salinan yang lolos pemeriksaan, dari situs ini maupun dari cermin-cerminnya. Karena itu tidak ada angka yang ditampilkan di sini.",
    "No copy stood the check, neither from this site nor from its mirrors. So no figure is shown here.",
  ],
  fetch: ["Tidak ada yang dapat dihubungi: mungkin sambungan Anda terputus.", "Nothing can be reached: you may be offline."],
  other: [
    "Yang dikirim server berbeda dari yang ditandatangani: mungkin diubah, mungkin sedang rusak. Coba lagi nanti, atau pakai terbit-verify dari sumber lain.",
    "What the server sent is not what was signed: it may have been altered, or be broken. Try again later, or use terbit-verify from another source.",
  ],
  home: ["Ke beranda", "Home"],
};

export function notice({ state, code, path }) {
  const english = path.startsWith("en/");
  const said = (key) => NOTICES[key][Number(english)];
  const why = state === "absent" ? "" : `<p>${said(code === "fetch" ? "fetch" : "other")}</p>`;
  const up = "../".repeat(path.split("/").length - 1);
  return `<!doctype html>
<html lang="${english ? "en" : "id"}">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${said(state)}</title><link rel="stylesheet" href="${up}assets/terbit.css">
<main><h1>${said(state)}</h1><p>${said(`${state}_what`)}</p>${why}<p><a href="${up}index.html">${said("home")}</a></p></main>
`;
}
