//! A PROXY protocol header is understood the same however it is cut, and one that is written is read back.

use oneport::net::{Header, HeaderError, parse_header, write_binary, write_line};

/// Checks one input: any bytes a client may send.
pub fn check(data: &[u8]) {
    let mut answer: Result<Option<Header>, HeaderError> = Ok(None);
    // Every cut of a short header, some of a long one; the whole input last.
    let step = data.len() / 256 + 1;
    for end in (0..data.len()).step_by(step).chain([data.len()]) {
        let next = parse_header(&data[..end]);
        assert!(answer == Ok(None) || next == answer, "{answer:?} became {next:?} at {end}");
        if let Ok(Some(header)) = next {
            assert!(header.len_bytes <= end && header.len_bytes >= 15);
            assert_eq!(parse_header(&data[..header.len_bytes]), next);
        }
        answer = next;
    }
    if let Ok(Some(Header { ends: Some(ends), .. })) = answer {
        for written in
            [write_line(Some(&ends)), write_binary(Some(&ends), false), write_binary(Some(&ends), true)]
        {
            let read = parse_header(&written);
            assert_eq!(read, Ok(Some(Header { len_bytes: written.len(), ends: Some(ends) })));
        }
    }
}
