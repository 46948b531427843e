// The page that stands where nothing could be verified: it says so, and has no figure. Nothing from outside goes into it.

const TEXTS = {
  id: {
    absent: ["Halaman ini tidak ada dalam rilis yang ditandatangani", "Tidak ada daftar bertanda tangan yang memuat alamat ini, jadi tidak ada yang ditampilkan."],
    unchecked: [
      "Halaman ini tidak dapat diperiksa",
      "Tidak ada salinan yang lolos pemeriksaan, dari situs ini maupun dari cermin-cerminnya. Karena itu tidak ada angka yang ditampilkan di sini.",
    ],
    fetch: "Tidak ada yang dapat dihubungi: mungkin sambungan Anda terputus.",
    other: "Yang dikirim server berbeda dari yang ditandatangani: mungkin diubah, mungkin sedang rusak. Coba lagi nanti, atau pakai terbit-verify dari sumber lain.",
    home: "Ke beranda",
  },
  en: {
    absent: ["This page is not in the signed release", "No signed list has this address, so nothing is shown."],
    unchecked: ["This page cannot be checked", "No copy stood the check, neither from this site nor from its mirrors. So no figure is shown here."],
    fetch: "Nothing can be reached: you may be offline.",
    other: "What the server sent is not what was signed: it may have been altered, or be broken. Try again later, or use terbit-verify from another source.",
    home: "Home",
  },
};

export function notice({ state, code, path }) {
  const language = path.startsWith("en/") ? "en" : "id";
  const texts = TEXTS[language];
  const [title, what] = texts[state];
  const why = state === "absent" ? "" : `<p>${code === "fetch" ? texts.fetch : texts.other}</p>`;
  const up = "../".repeat(path.split("/").length - 1);
  return `<!doctype html>
<html lang="${language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title><link rel="stylesheet" href="${up}assets/terbit.css"></head>
<body><main><h1>${title}</h1><p>${what}</p>${why}<p><a href="${up}index.html">${texts.home}</a></p></main></body>
</html>
`;
}
