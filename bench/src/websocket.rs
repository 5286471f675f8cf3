//! As much of RFC 6455 as an echo needs, on both sides.

use std::str::FromStr;

use anyhow::{Result, bail};
use sha1::{Digest, Sha1};

/// What an echo server speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Raw,
    WebSocket,
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "raw" => Ok(Self::Raw),
            "websocket" => Ok(Self::WebSocket),
            other => Err(format!("{other:?} is neither raw nor websocket")),
        }
    }
}

/// A client's key, and the request that carries it.
const KEY: &str = "b25lcG9ydC1iZW5jaC1rZQ==";

/// What the client masks its frames with: any value does (§5.3 asks browsers for random ones).
const MASK: [u8; 4] = [0x21, 0x43, 0x65, 0x87];

/// The largest frame that the server takes.
const PAYLOAD_LEN_MAX: usize = u16::MAX as usize;

/// The upgrade request of the load's clients (§4.1).
pub fn upgrade_request() -> String {
    format!(
        "GET /echo HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
}

/// Fails unless `head` is the right answer to [`upgrade_request`].
pub fn check_upgraded(head: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(head);
    let accept = accept_key(KEY);
    if !text.starts_with("HTTP/1.1 101 ") || !text.contains(&accept) {
        bail!("not upgraded: {text}");
    }
    Ok(())
}

/// The server's answer to an upgrade request; an error names what is wrong with it (§4.2).
pub fn upgrade_answer(head: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(head)?;
    let key = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    let Some(key) = key else { bail!("no upgrade to WebSocket: {text}") };
    let accept = accept_key(key);
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}

/// What proves that a server has read the client's key (§1.3).
fn accept_key(key: &str) -> String {
    let digest =
        Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    data_encoding::BASE64.encode(&digest)
}

/// Appends `message` as the client's binary frame, masked.
pub fn push_client_frame(message: &[u8], out: &mut Vec<u8>) {
    push_head(0x82, 0x80, message.len(), out);
    out.extend_from_slice(&MASK);
    out.extend(message.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Appends `message` as the server's frame with this first byte, unmasked.
pub fn push_server_frame(first: u8, message: &[u8], out: &mut Vec<u8>) {
    push_head(first, 0, message.len(), out);
    out.extend_from_slice(message);
}

fn push_head(first: u8, masked: u8, len: usize, out: &mut Vec<u8>) {
    out.push(first);
    match u8::try_from(len) {
        Ok(short @ 0..=125) => out.push(masked | short),
        _ => {
            debug_assert!(len <= PAYLOAD_LEN_MAX, "longer frames are never built");
            out.push(masked | 126);
            out.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
}

/// Answers the client's complete frames at the start of `input` and takes them out: an echo of data, frame by
/// frame; pong for ping; close for close. False once the client has said close.
pub fn answer_frames(input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<bool> {
    let mut used = 0;
    let mut open = true;
    while open && let Some(frame) = Frame::read(&input[used..])? {
        let body = &mut input[used + frame.body_at..used + frame.len];
        let mask = frame.mask;
        body.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        match frame.first & 0x0f {
            0..=2 => push_server_frame(frame.first, body, out),
            8 => {
                push_server_frame(frame.first, body, out);
                open = false;
            }
            9 => push_server_frame(0x8a, body, out),
            10 => {}
            opcode => bail!("opcode {opcode} means nothing"),
        }
        used += frame.len;
    }
    input.drain(..used);
    Ok(open)
}

/// Where the parts of a client's frame are.
struct Frame {
    first: u8,
    mask: [u8; 4],
    body_at: usize,
    len: usize,
}

impl Frame {
    /// The frame at the start of `bytes`, when it is complete (§5.2).
    fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        if second & 0x80 == 0 {
            bail!("a client's frame must be masked");
        }
        let (len, mask_at) = match (second & 0x7f, rest) {
            (126, &[high, low, ..]) => (usize::from(u16::from_be_bytes([high, low])), 4),
            (126, _) => return Ok(None),
            (127, _) => bail!("frames over {PAYLOAD_LEN_MAX} bytes are not for here"),
            (short, _) => (usize::from(short), 2),
        };
        let body_at = mask_at + MASK.len();
        let Some(Ok(mask)) = bytes.get(mask_at..body_at).map(<[u8; 4]>::try_from) else { return Ok(None) };
        let len = body_at + len;
        Ok((bytes.len() >= len).then_some(Self { first, mask, body_at, len }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server answers to `input`, fed at once.
    fn echo(mut input: Vec<u8>) -> (Vec<u8>, bool, usize) {
        let mut out = Vec::new();
        let open = answer_frames(&mut input, &mut out).unwrap();
        (out, open, input.len())
    }

    #[test]
    fn messages_come_back_unmasked_whatever_their_length() {
        for len in [0, 1, 64, 125, 126, 40_000] {
            let message = vec![7; len];
            let (mut input, mut expected) = (Vec::new(), Vec::new());
            push_client_frame(&message, &mut input);
            push_server_frame(0x82, &message, &mut expected);
            assert_eq!(echo(input), (expected, true, 0), "{len}");
        }
    }

    #[test]
    fn half_a_frame_waits() {
        let mut input = Vec::new();
        push_client_frame(b"whole", &mut input);
        for len in 0..input.len() {
            assert_eq!(echo(input[..len].to_vec()), (vec![], true, len));
        }
    }

    #[test]
    fn ping_gets_a_pong_and_close_a_close() {
        let mut input = vec![0x89, 0x80, 1, 2, 3, 4];
        input.extend([0x88, 0x80, 1, 2, 3, 4]);
        assert_eq!(echo(input), (vec![0x8a, 0, 0x88, 0], false, 0));
    }

    #[test]
    fn an_unmasked_frame_is_refused() {
        assert!(answer_frames(&mut vec![0x82, 1, 9], &mut Vec::new()).is_err());
    }

    #[test]
    fn the_accept_key_is_that_of_the_standard() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn the_two_sides_of_the_handshake_agree() {
        let answer = upgrade_answer(upgrade_request().as_bytes()).unwrap();
        check_upgraded(answer.as_bytes()).unwrap();
        assert!(check_upgraded(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").is_err());
        assert!(upgrade_answer(b"GET / HTTP/1.1\r\n\r\n").is_err());
    }
}
