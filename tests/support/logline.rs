//! Session lines taken apart by hand (configuration §8.2), so that a field that is missing, doubled or in
//! the wrong place fails the test.

/// What stands before the message on the wire.
#[derive(Debug)]
pub struct Header {
    /// Facility × 8 + severity.
    pub priority: u8,
    /// `haproxy`, `oneport`.
    pub tag: String,
    /// The sender's process id.
    pub pid: i32,
}

/// `option httplog`.
#[derive(Debug)]
pub struct HttpLine {
    pub header: Header,
    pub client: String,
    pub frontend: String,
    pub backend: String,
    pub server: String,
    /// `%TR/%Tw/%Tc/%Tr/%Ta` in milliseconds, -1 = not reached.
    pub timers: [i64; 5],
    pub status: i32,
    pub bytes: u64,
    /// Four characters.
    pub termination: String,
    /// `%ac/%fc/%bc/%sc`.
    pub connections: [u32; 4],
    pub retries: u32,
    pub request: String,
}

/// `option tcplog`.
#[derive(Debug)]
pub struct TcpLine {
    pub header: Header,
    pub client: String,
    pub frontend: String,
    pub backend: String,
    pub server: String,
    /// `%Tw/%Tc/%Tt` in milliseconds, -1 = not reached.
    pub timers: [i64; 3],
    pub bytes: u64,
    /// Two characters.
    pub termination: String,
    /// `%ac/%fc/%bc/%sc`.
    pub connections: [u32; 4],
    pub retries: u32,
}

/// Takes an httplog line of the wire apart; fails the test with the line when it is not one.
#[track_caller]
pub fn http_line(datagram: &str) -> HttpLine {
    parse_http(datagram).unwrap_or_else(|what| panic!("{what} in the httplog line {datagram:?}"))
}

/// Takes a tcplog line of the wire apart.
#[track_caller]
pub fn tcp_line(datagram: &str) -> TcpLine {
    parse_tcp(datagram).unwrap_or_else(|what| panic!("{what} in the tcplog line {datagram:?}"))
}

fn parse_http(datagram: &str) -> Result<HttpLine, &'static str> {
    let (header, message) = parse_header(datagram)?;
    let (before, request) = message.split_once(" \"").ok_or("no quoted request line")?;
    let request = request.strip_suffix('"').ok_or("no closing quote at the end")?.to_string();
    let words: Vec<&str> = before.split(' ').collect();
    let [client, date, frontend, target, timers, status, bytes, cc, cs, termination, conns, queues] =
        words[..]
    else {
        return Err("not twelve words before the request");
    };
    check_client(client)?;
    check_date(date)?;
    check_queues(queues)?;
    if cc != "-" || cs != "-" {
        return Err("cookies where none are captured");
    }
    let (backend, server) = target.split_once('/').ok_or("no backend/server")?;
    let (connections, retries) = parse_connections(conns)?;
    if termination.len() != 4 {
        return Err("a termination state that has not four characters");
    }
    Ok(HttpLine {
        header,
        client: client.into(),
        frontend: frontend.into(),
        backend: backend.into(),
        server: server.into(),
        timers: parse_timers(timers)?,
        status: status.parse().map_err(|_| "a status that is not a number")?,
        bytes: bytes.parse().map_err(|_| "bytes that are not a number")?,
        termination: termination.into(),
        connections,
        retries,
        request,
    })
}

fn parse_tcp(datagram: &str) -> Result<TcpLine, &'static str> {
    let (header, message) = parse_header(datagram)?;
    let words: Vec<&str> = message.split(' ').collect();
    let [client, date, frontend, target, timers, bytes, termination, conns, queues] = words[..] else {
        return Err("not nine words");
    };
    check_client(client)?;
    check_date(date)?;
    check_queues(queues)?;
    let (backend, server) = target.split_once('/').ok_or("no backend/server")?;
    let (connections, retries) = parse_connections(conns)?;
    if termination.len() != 2 {
        return Err("a termination state that has not two characters");
    }
    Ok(TcpLine {
        header,
        client: client.into(),
        frontend: frontend.into(),
        backend: backend.into(),
        server: server.into(),
        timers: parse_timers(timers)?,
        bytes: bytes.parse().map_err(|_| "bytes that are not a number")?,
        termination: termination.into(),
        connections,
        retries,
    })
}

/// `<134>Nov 21 01:55:23 name[pid]: message\n`.
fn parse_header(datagram: &str) -> Result<(Header, &str), &'static str> {
    let rest = datagram.strip_prefix('<').ok_or("no <priority>")?;
    let (priority, rest) = rest.split_once('>').ok_or("no <priority>")?;
    let priority = priority.parse().map_err(|_| "a priority that is not a number")?;
    let (date, rest) = rest.split_at_checked(16).ok_or("no date")?;
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let month = shape.get(..3).unwrap_or_default();
    if !MONTHS.contains(&month) || !matches!(&shape[3..], " 00 00:00:00 " | "  0 00:00:00 ") {
        return Err("a date that is not like `Nov 21 01:55:23 `");
    }
    let (tag, message) = rest.split_once("]: ").ok_or("no `name[pid]: `")?;
    let (tag, pid) = tag.split_once('[').ok_or("no `name[pid]: `")?;
    let pid = pid.parse().map_err(|_| "a process id that is not a number")?;
    let message = message.strip_suffix('\n').ok_or("no newline at the end")?;
    Ok((Header { priority, tag: tag.into(), pid }, message))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `127.0.0.1:54321`.
fn check_client(client: &str) -> Result<(), &'static str> {
    client.parse::<std::net::SocketAddr>().map(drop).map_err(|_| "a client that is not ADDRESS:PORT")
}

/// `[21/Nov/2026:01:55:23.123]`.
fn check_date(date: &str) -> Result<(), &'static str> {
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let month = shape.get(4..7).unwrap_or_default();
    let rest = shape.replacen(month, "Mon", 1);
    if MONTHS.contains(&month) && rest == "[00/Mon/0000:00:00:00.000]" {
        Ok(())
    } else {
        Err("a date that is not like `[21/Nov/2026:01:55:23.123]`")
    }
}

fn check_queues(queues: &str) -> Result<(), &'static str> {
    let (server, backend) = queues.split_once('/').ok_or("no queues")?;
    let both = [server, backend].iter().all(|word| word.parse::<u32>().is_ok());
    if both { Ok(()) } else { Err("queues that are not numbers") }
}

fn parse_timers<const N: usize>(text: &str) -> Result<[i64; N], &'static str> {
    let mut timers = [0; N];
    let mut words = text.split('/');
    for timer in &mut timers {
        *timer = words.next().and_then(|word| word.parse().ok()).ok_or("timers that are not numbers")?;
    }
    if words.next().is_some() { Err("too many timers") } else { Ok(timers) }
}

fn parse_connections(text: &str) -> Result<([u32; 4], u32), &'static str> {
    let [actives @ .., retries] = &parse_timers::<5>(text)?;
    let mut connections = [0; 4];
    for (connection, active) in connections.iter_mut().zip(actives) {
        *connection = u32::try_from(*active).map_err(|_| "a negative number of connections")?;
    }
    Ok((connections, u32::try_from(*retries).map_err(|_| "negative retries")?))
}
