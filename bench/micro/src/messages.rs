//! Messages as programs send them.

/// curl's request.
pub const CURL: &[u8] = b"GET /api/status?verbose=1 HTTP/1.1\r\n\
    Host: device.local:8080\r\n\
    User-Agent: curl/7.88.1\r\n\
    Accept: */*\r\n\r\n";

/// A browser's request: 15 fields.
pub const BROWSER: &[u8] = b"GET /static/js/app.4f2a91c3.js HTTP/1.1\r\n\
    Host: device.local:8080\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    sec-ch-ua: \"Not/A)Brand\";v=\"8\", \"Chromium\";v=\"126\", \"Google Chrome\";v=\"126\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/126.0.0.0 Safari/537.36\r\n\
    Accept: */*\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: no-cors\r\n\
    Sec-Fetch-Dest: script\r\n\
    Referer: http://device.local:8080/index.html\r\n\
    Accept-Encoding: gzip, deflate\r\n\
    Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark\r\n\r\n";

/// nginx's answer for a file.
pub const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx/1.22.1\r\n\
    Date: Sat, 21 Nov 2026 06:00:00 GMT\r\n\
    Content-Type: application/javascript\r\n\
    Content-Length: 48213\r\n\
    Last-Modified: Fri, 20 Nov 2026 11:12:13 GMT\r\n\
    Connection: keep-alive\r\n\
    ETag: \"655b3f2d-bc55\"\r\n\
    Accept-Ranges: bytes\r\n\r\n";

/// What the raw socket's clients begin with, and their first message.
pub const RAW: &[u8] = b"\0\0\0\0\0\0\0\0\x12\x34hello, device; here is the first message of this session";

/// No protocol at all: 256 bytes that look random and are always the same.
pub fn noise() -> [u8; 256] {
    let mut state: u32 = 0x2545_f491;
    std::array::from_fn(|_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    })
}
