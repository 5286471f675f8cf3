//! Texts with parts that are filled in: `log-format` strings, values of headers, targets of redirects
//! (configuration §8.2.6).

use std::rc::Rc;

use super::Expr;

/// A text with parts that are filled in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Format {
    /// Its parts, in order.
    pub pieces: Vec<Piece>,
}

impl Format {
    /// The text, where nothing in it is filled in.
    #[must_use]
    pub fn constant(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [] => Some(b""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// A part of a [`Format`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Text(Rc<[u8]>),
    /// `%[expression]`.
    Sample(Expr, Flags),
    /// `%name`.
    Alias(Alias, Flags),
}

/// `%name` of a text: a fact about the session (configuration §8.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // each is the variable of its name
pub enum Alias {
    Ac,
    B,
    Bc,
    Bi,
    Bp,
    Bq,
    Bytes,
    Cc,
    Ci,
    Cp,
    Cs,
    F,
    Fc,
    Fi,
    Fp,
    Host,
    Hm,
    Hp,
    Hpo,
    Hq,
    Hr,
    Hrl,
    Hs,
    Hsl,
    Hu,
    Hv,
    Id,
    Lc,
    Ms,
    Pid,
    R,
    Rc,
    Rt,
    S,
    Sc,
    Si,
    Sp,
    Sq,
    Status,
    T,
    Ta,
    Tc,
    Td,
    Th,
    Ti,
    Tl,
    Tq,
    TR,
    Tr,
    TrDate,
    Trg,
    Trl,
    Ts,
    Term,
    TermCookies,
    Tt,
    Tu,
    Tw,
    Gmt,
    Up,
}

/// `%{+Q,-X}`: how a part is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// `Q`: in double quotes.
    pub quote: bool,
    /// `X`: in hexadecimal.
    pub hex: bool,
    /// `E`: `"`, `\` and `]` have a backslash before them (RFC 5424).
    pub escape: bool,
}
