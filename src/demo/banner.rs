//! What `--demo` prints, and how `--listen` reads from the client's side.

use super::Backends;

/// The text printed once the demo runs: the URL and one ready-to-paste command per protocol.
///
/// `listen` is the value of `--listen`; an address that means "every interface" (`*:8080`) is printed as
/// the loopback address, because that is what can be pasted.
pub fn banner(listen: &str, backends: &Backends) -> String {
    let Backends { web, ws, socket, .. } = backends;
    let behind = format!("behind it    web {web}, WebSocket {ws}, raw socket {socket}");
    let Some((host, port)) = public_address(listen) else {
        return format!("oneport demo on {listen} (no TCP address, so there is no URL)\n\n  {behind}\n");
    };
    let authority = authority(&host, port);
    // Brackets are a glob to some shells, and to curl.
    let quote = if host.contains(':') { "'" } else { "" };
    let zeros = r"\0\0\0\0\0\0\0\0hello\n";
    format!(
        "oneport demo: one port, three protocols

  open         http://{authority}/

  HTTP         curl -i {quote}http://{authority}/api/whoami{quote}

  WebSocket    curl -i -N -o - -m 2 --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
-H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: b25lcG9ydC1kZW1vLWtleQ==' {quote}http://{authority}/ws{quote}
               (shows the 101 and the first message; to talk: websocat {quote}ws://{authority}/ws{quote})

  raw socket   printf '{zeros}' | nc -w 1 {host} {port}
               (no nc? bash -c 'exec 3<>/dev/tcp/{host}/{port}; printf \"{zeros}\" >&3; timeout 1 cat <&3')

  {behind}
  stop         Ctrl-C
"
    )
}

/// Host and port as a URL spells them; port 80 goes without saying.
fn authority(host: &str, port: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
    if port == 80 { host } else { format!("{host}:{port}") }
}

/// Where a client on this machine reaches the first address of `listen`; `None` for what is not TCP.
///
/// The host comes without brackets. Of a port range it is the first port.
pub fn public_address(listen: &str) -> Option<(String, u16)> {
    let first = listen.split(',').next().unwrap_or_default().trim();
    let (any, address) = match first.split_once('@') {
        None | Some(("ipv4", _)) => ("127.0.0.1", first.strip_prefix("ipv4@").unwrap_or(first)),
        Some(("ipv6", rest)) => ("::1", rest),
        Some(_) => return None,
    };
    let (host, ports) = address.rsplit_once(':')?;
    let port = ports.split('-').next()?.parse().ok()?;
    let host = match host.trim_start_matches('[').trim_end_matches(']') {
        "" | "*" => any,
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    Some((host.to_string(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses() {
        let cases = [
            ("*:8080", Some(("127.0.0.1", 8080))),
            (":8080", Some(("127.0.0.1", 8080))),
            ("0.0.0.0:80", Some(("127.0.0.1", 80))),
            ("192.0.2.7:80,10.0.0.1:81", Some(("192.0.2.7", 80))),
            ("[::]:8080", Some(("::1", 8080))),
            (":::8080", Some(("::1", 8080))),
            ("ipv6@*:8080", Some(("::1", 8080))),
            ("ipv4@*:8080-8085", Some(("127.0.0.1", 8080))),
            ("localhost:8080", Some(("localhost", 8080))),
            ("unix@/run/oneport.sock", None),
            ("/run/oneport.sock", None),
            ("fd@3", None),
            ("8080", None),
            ("", None),
        ];
        for (listen, expected) in cases {
            let expected = expected.map(|(host, port)| (host.to_string(), port));
            assert_eq!(public_address(listen), expected, "{listen}");
        }
    }

    #[test]
    fn urls() {
        assert_eq!(authority("127.0.0.1", 80), "127.0.0.1");
        assert_eq!(authority("127.0.0.1", 8080), "127.0.0.1:8080");
        assert_eq!(authority("::1", 8080), "[::1]:8080");
    }
}
