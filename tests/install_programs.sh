#!/bin/sh
# The outside programs that check us, installed where this user may; tests say what is missing.
missing=""
for pair in minisign:minisign signify-openbsd:signify-openbsd faketime:faketime openssl:openssl jq:jq node:nodejs npm:npm \
  varnishd:varnish nginx:nginx-light go:golang-go chromium:chromium \
  firefox-esr:firefox-esr pdftotext:poppler-utils; do
  PATH="$PATH:/usr/sbin" command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -e /usr/lib/nginx/modules/ngx_http_cache_purge_module.so ] || missing="$missing libnginx-mod-http-cache-purge"
[ -d /usr/share/gocode/src/golang.org/x/mod/sumdb ] || missing="$missing golang-golang-x-mod-dev"
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing) >/dev/null 2>&1 ||
    echo "could not install:$missing" >&2
fi
# Later http-cookie-agents, which Mozilla's Observatory uses, want a newer Node than Debian's. Its installation would
# download the list of names that browsers ask by HTTPS alone; no test serves one of them.
packages=""
for package in tuf-js@3 axe-core@4 csp_evaluator@1 @mdn/mdn-http-observatory@1 http-cookie-agent@7.0.3 jsqr@1 topojson-server@3 topojson-client@3; do
  [ -d "build/npm/node_modules/${package%@*}" ] || packages="$packages $package"
done
if [ -n "$packages" ] && command -v npm >/dev/null 2>&1; then
  mkdir -p build/npm && npm install --silent --no-audit --no-fund --ignore-scripts --prefix build/npm $packages >/dev/null 2>&1 ||
    echo "could not install (npm):$packages" >&2
  observatory=build/npm/node_modules/@mdn/mdn-http-observatory
  [ ! -d $observatory ] || echo '{}' >$observatory/conf/hsts-preload.json
fi
exit 0
