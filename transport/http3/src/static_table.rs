//! The static table of QPACK (RFC 9204 appendix A), and the way back for fields of answers.

/// Name and value of each entry of the static table, by index (RFC 9204 appendix A).
pub const ENTRIES: [(&str, &str); 99] = [
    (":authority", ""),
    (":path", "/"),
    ("age", "0"),
    ("content-disposition", ""),
    ("content-length", "0"),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("referer", ""),
    ("set-cookie", ""),
    (":method", "CONNECT"),
    (":method", "DELETE"),
    (":method", "GET"),
    (":method", "HEAD"),
    (":method", "OPTIONS"),
    (":method", "POST"),
    (":method", "PUT"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "103"),
    (":status", "200"),
    (":status", "304"),
    (":status", "404"),
    (":status", "503"),
    ("accept", "*/*"),
    ("accept", "application/dns-message"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-ranges", "bytes"),
    ("access-control-allow-headers", "cache-control"),
    ("access-control-allow-headers", "content-type"),
    ("access-control-allow-origin", "*"),
    ("cache-control", "max-age=0"),
    ("cache-control", "max-age=2592000"),
    ("cache-control", "max-age=604800"),
    ("cache-control", "no-cache"),
    ("cache-control", "no-store"),
    ("cache-control", "public, max-age=31536000"),
    ("content-encoding", "br"),
    ("content-encoding", "gzip"),
    ("content-type", "application/dns-message"),
    ("content-type", "application/javascript"),
    ("content-type", "application/json"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "image/gif"),
    ("content-type", "image/jpeg"),
    ("content-type", "image/png"),
    ("content-type", "text/css"),
    ("content-type", "text/html; charset=utf-8"),
    ("content-type", "text/plain"),
    ("content-type", "text/plain;charset=utf-8"),
    ("range", "bytes=0-"),
    ("strict-transport-security", "max-age=31536000"),
    ("strict-transport-security", "max-age=31536000; includesubdomains"),
    ("strict-transport-security", "max-age=31536000; includesubdomains; preload"),
    ("vary", "accept-encoding"),
    ("vary", "origin"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
    (":status", "100"),
    (":status", "204"),
    (":status", "206"),
    (":status", "302"),
    (":status", "400"),
    (":status", "403"),
    (":status", "421"),
    (":status", "425"),
    (":status", "500"),
    ("accept-language", ""),
    ("access-control-allow-credentials", "FALSE"),
    ("access-control-allow-credentials", "TRUE"),
    ("access-control-allow-headers", "*"),
    ("access-control-allow-methods", "get"),
    ("access-control-allow-methods", "get, post, options"),
    ("access-control-allow-methods", "options"),
    ("access-control-expose-headers", "content-length"),
    ("access-control-request-headers", "content-type"),
    ("access-control-request-method", "get"),
    ("access-control-request-method", "post"),
    ("alt-svc", "clear"),
    ("authorization", ""),
    ("content-security-policy", "script-src 'none'; object-src 'none'; base-uri 'none'"),
    ("early-data", "1"),
    ("expect-ct", ""),
    ("forwarded", ""),
    ("if-range", ""),
    ("origin", ""),
    ("purpose", "prefetch"),
    ("server", ""),
    ("timing-allow-origin", "*"),
    ("upgrade-insecure-requests", "1"),
    ("user-agent", ""),
    ("x-forwarded-for", ""),
    ("x-frame-options", "deny"),
    ("x-frame-options", "sameorigin"),
];

/// Index of a status code's name, for those without an entry of their own.
pub(super) const STATUS: u64 = 24;

/// The entry that says `:status` and this code.
pub(super) fn status(code: u16) -> Option<u64> {
    Some(match code {
        103 => 24,
        200 => 25,
        304 => 26,
        404 => 27,
        503 => 28,
        100 => 63,
        204 => 64,
        206 => 65,
        302 => 66,
        400 => 67,
        403 => 68,
        421 => 69,
        425 => 70,
        500 => 71,
        _ => return None,
    })
}

/// The entries with this name, if it is one that answers use. A match on names costs a few
/// nanoseconds; a search of 99 entries would cost more than the rest of an answer.
pub(super) fn entries_named(name: &str) -> &'static [u8] {
    match name {
        "access-control-allow-credentials" => &[73, 74],
        "access-control-allow-headers" => &[33, 34, 75],
        "access-control-allow-methods" => &[76, 77, 78],
        "access-control-allow-origin" => &[35],
        "access-control-expose-headers" => &[79],
        "alt-svc" => &[83],
        "cache-control" => &[36, 37, 38, 39, 40, 41],
        "content-length" => &[4],
        "content-security-policy" => &[85],
        "content-type" => &[44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54],
        "date" => &[6],
        "etag" => &[7],
        "location" => &[12],
        "server" => &[92],
        "strict-transport-security" => &[56, 57, 58],
        "vary" => &[59, 60],
        "x-content-type-options" => &[61],
        "x-frame-options" => &[97, 98],
        _ => &[],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_agrees_with_the_table() {
        let mut found = 0;
        for (name, _) in ENTRIES {
            let indices = entries_named(name);
            if indices.is_empty() {
                continue;
            }
            let by_search: Vec<u8> = (0..99).filter(|&at| ENTRIES[usize::from(at)].0 == name).collect();
            assert_eq!(indices, by_search, "{name}");
            found += 1;
        }
        assert_eq!(found, 42, "a name above is not in the table");
    }

    #[test]
    fn every_status_of_the_table_is_found() {
        for (at, (name, value)) in ENTRIES.iter().enumerate() {
            if *name == ":status" {
                assert_eq!(status(value.parse().unwrap()), Some(at as u64));
            }
        }
        assert_eq!(status(202), None);
        assert_eq!(ENTRIES[STATUS as usize].0, ":status");
    }
}
