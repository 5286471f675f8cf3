//! Tests of heads, read and written. Every input is also read in every segmentation.

mod request;
mod response;
mod rewriting;

use super::*;

const GET: RequestFacts = RequestFacts { method: Method::Get, version: Version::Http11 };

/// Reads a request as it would arrive byte by byte: before the whole head there is no head, and the first
/// error stays.
fn request(input: &[u8]) -> Result<Option<RequestHead>, HeadError> {
    prefixes(input, parse_request, |head| head.len)
}

/// The same for an answer.
fn response(input: &[u8], to: RequestFacts) -> Result<Option<ResponseHead>, HeadError> {
    prefixes(input, |bytes| parse_response(bytes, to), |head| head.len)
}

fn prefixes<T>(
    input: &[u8],
    parse: impl Fn(&[u8]) -> Result<Option<T>, HeadError>,
    len: impl Fn(&T) -> usize,
) -> Result<Option<T>, HeadError> {
    let whole = parse(input);
    let shown = input.escape_ascii();
    for end in 0..input.len() {
        match (parse(&input[..end]), &whole) {
            (Ok(None), Ok(Some(head))) => assert!(end < len(head), "{shown}: none at {end}"),
            (Ok(None), _) => {}
            (Ok(Some(part)), Ok(Some(head))) => {
                assert!(end >= len(&part) && len(&part) == len(head), "{shown}: differs at {end}");
            }
            (Err(early), Err(late)) => assert_eq!(early, *late, "{shown} at {end}"),
            (Err(early), _) => panic!("{shown}: {early} at {end} but not at the end"),
            (Ok(Some(_)), _) => panic!("{shown}: a head at {end} but not at the end"),
        }
    }
    whole
}

/// The length of the shortest prefix that is refused.
fn refused_at(input: &[u8]) -> Option<usize> {
    (0..=input.len()).find(|&end| parse_request(&input[..end]).is_err())
}
