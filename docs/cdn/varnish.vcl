vcl 4.1;

# Varnish 6.6 or later as a CDN. Adjust the origin, who may purge, and the file with the secret.
import std;

backend origin {
    .host = "127.0.0.1";
    .port = "8081";
    .connect_timeout = 2s;
    .first_byte_timeout = 10s;
    .probe = { .url = "/"; .interval = 5s; .timeout = 2s; .window = 4; .threshold = 2; .initial = 2; }
}

acl purgers {
    "127.0.0.1";
}

sub vcl_recv {
    # A site of files has no queries; with them anyone could pass by the cache.
    set req.url = regsub(req.url, "\?.*$", "");
    if (req.method == "PURGE" || req.method == "BAN") {
        if (client.ip !~ purgers || !req.http.X-Purge-Key || req.http.X-Purge-Key != regsub(std.fileread("/etc/varnish/purge.key"), "\s+$", "")) {
            return (synth(403, "Not allowed"));
        }
        if (req.method == "PURGE") {
            return (purge);
        }
        if (!req.http.X-Ban) {
            return (synth(400, "No X-Ban"));
        }
        if (!std.ban("obj.http.X-Path ~ " + req.http.X-Ban)) {
            return (synth(400, std.ban_error()));
        }
        return (synth(200, "Banned"));
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (synth(405, "Read only"));
    }
    unset req.http.Cookie;
    unset req.http.Authorization;
    # While the origin lives, a copy past its time is shown for as long as it takes to fetch the new one; a dead origin takes no page away.
    if (std.healthy(req.backend_hint)) {
        set req.grace = 10s;
    }
    return (hash);
}

sub vcl_backend_response {
    set beresp.http.X-Path = bereq.url;
    unset beresp.http.Set-Cookie;
    if (beresp.status == 404) {
        # Clients ask for the next root before it exists.
        set beresp.ttl = 10s;
        set beresp.grace = 0s;
    } elsif (beresp.status != 200) {
        set beresp.uncacheable = true;
        set beresp.ttl = 0s;
        if (bereq.is_bgfetch) {
            return (abandon);
        }
    } else {
        set beresp.grace = 1d;
    }
}

sub vcl_backend_error {
    if (bereq.is_bgfetch) {
        return (abandon);
    }
}

sub vcl_deliver {
    unset resp.http.X-Path;
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    } else {
        set resp.http.X-Cache = "MISS";
    }
}
