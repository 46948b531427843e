#!/bin/sh
# The outside programs that check us, installed where this user may; tests say what is missing.
missing=""
for pair in minisign:minisign signify-openbsd:signify-openbsd faketime:faketime openssl:openssl jq:jq node:nodejs npm:npm \
  varnishd:varnish nginx:nginx-light go:golang-go chromium:chromium; do
  PATH="$PATH:/usr/sbin" command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -e /usr/lib/nginx/modules/ngx_http_cache_purge_module.so ] || missing="$missing libnginx-mod-http-cache-purge"
[ -d /usr/share/gocode/src/golang.org/x/mod/sumdb ] || missing="$missing golang-golang-x-mod-dev"
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing) >/dev/null 2>&1 ||
    echo "could not install:$missing" >&2
fi
if command -v npm >/dev/null 2>&1 && { [ ! -d build/npm/node_modules/tuf-js ] || [ ! -d build/npm/node_modules/axe-core ]; }; then
  mkdir -p build/npm && npm install --silent --no-audit --no-fund --prefix build/npm tuf-js@3 axe-core@4 >/dev/null 2>&1 ||
    echo "could not install: tuf-js, axe-core (npm)" >&2
fi
exit 0
