//! As much of HTTP/1 as `GET /metrics` needs.

/// Returns true if the empty line that ends a request has arrived. A line may end without a CR (RFC 9112, section 2.2).
pub fn is_complete(head: &[u8]) -> bool {
    let mut line_is_empty = false;
    for byte in head {
        match byte {
            b'\n' if line_is_empty => return true,
            b'\n' => line_is_empty = true,
            b'\r' => {}
            _ => line_is_empty = false,
        }
    }
    false
}

/// Returns the reply to a request. `text` returns the metrics.
pub fn reply(head: &[u8], text: impl Fn() -> String) -> String {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).unwrap_or_default().trim_end_matches('\r');
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return refusal("400 Bad Request", "");
    };
    if !version.starts_with("HTTP/1.") {
        return refusal("505 HTTP Version Not Supported", "");
    }
    if target.split('?').next() != Some("/metrics") {
        return refusal("404 Not Found", "");
    }
    if method != "GET" {
        return refusal("405 Method Not Allowed", "Allow: GET\r\n");
    }
    let body = text();
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    format!("{}{body}", head_of("200 OK", kind, "", body.len()))
}

/// Returns a reply with the status of an error.
pub fn refusal(status: &str, more: &str) -> String {
    let body = format!("{status}\n");
    format!("{}{body}", head_of(status, "text/plain; charset=utf-8", more, body.len()))
}

fn head_of(status: &str, kind: &str, more: &str, length: usize) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(request: &str) -> String {
        let reply = reply(request.as_bytes(), || "a 1\n".to_owned());
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
        head.split("\r\n").next().unwrap()["HTTP/1.1 ".len()..][..3].to_owned()
    }

    #[test]
    fn only_metrics_can_be_fetched() {
        assert_eq!(status("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), "200");
        assert_eq!(status("GET /metrics?name=x HTTP/1.0\n\n"), "200");
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), "404");
        assert_eq!(status("GET /metrics/../x HTTP/1.1\r\n\r\n"), "404");
        assert_eq!(status("POST /metrics HTTP/1.1\r\n\r\n"), "405");
        assert_eq!(status("GET /metrics HTTP/2\r\n\r\n"), "505");
        for request in ["\r\n\r\n", "GET /metrics\r\n\r\n", "GET  /metrics HTTP/1.1\r\n\r\n", "\u{1}\n\n"] {
            assert_eq!(status(request), "400", "{request:?}");
        }
    }

    #[test]
    fn a_request_ends_with_its_empty_line() {
        for whole in ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\n\n", "a\r\nb\r\n\r\nrest"] {
            assert!(is_complete(whole.as_bytes()), "{whole:?}");
        }
        for part in ["", "GET / HTTP/1.1\r\n", "a\r\nb\r\n", "\r\r"] {
            assert!(!is_complete(part.as_bytes()), "{part:?}");
        }
    }
}
