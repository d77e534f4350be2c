//! Checks the framing of HTTP/1.1 as it passes: the end of each message must be unambiguous.
//!
//! ```text
//!   request line ─▶ field* ─▶ empty line ─┬─ content-length ─▶ body ───────────────┐
//!        ▲                                ├─ chunked ─▶ size ─▶ data ─▶ … ─▶ trailer* ─┤
//!        │                                └─ neither ────────────────────────────────┤
//!        └───────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! hyper accepts a bare LF as a line end, lets `transfer-encoding` override `content-length`, and
//! skips chunk extensions of any kind. A proxy in front of us may read the same bytes differently,
//! so that one of the two takes for a request what the other takes for a body (request smuggling,
//! RFC 9112 section 11.2). So ambiguous bytes are refused. Everything else is left to hyper.

/// How many bytes of a line are inspected: the names and values that frame a message are shorter.
const KEPT_BYTES: usize = 64;
/// Digits of the longest accepted chunk size.
const CHUNK_SIZE_DIGITS: usize = 8;

/// The position in the messages of one connection.
#[derive(Default)]
pub(super) struct Lines {
    part: Part,
    kept: Vec<u8>,
    /// Bytes of the line so far, including those not kept.
    length: usize,
    after_cr: bool,
    content_length: Option<u64>,
    chunked: bool,
    /// Heads that have begun.
    heads: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    /// Before a request line; empty lines are allowed here (RFC 9112 section 2.2).
    #[default]
    Between,
    RequestLine,
    Field,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailer,
}

/// Two implementations could read these bytes differently.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ambiguous;

impl Lines {
    /// Inspects bytes that were just read. True if they end inside a head.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) -> Result<bool, Ambiguous> {
        while let [first, rest @ ..] = bytes {
            bytes = match self.part {
                Part::Body(left) => {
                    let (after, left) = skip(bytes, left);
                    self.part = if left > 0 { Part::Body(left) } else { Part::Between };
                    after
                }
                Part::ChunkData(left) => {
                    let (after, left) = skip(bytes, left);
                    self.part = if left > 0 { Part::ChunkData(left) } else { Part::ChunkEnd };
                    after
                }
                _ => {
                    self.take(*first)?;
                    rest
                }
            };
        }
        Ok(matches!(self.part, Part::RequestLine | Part::Field))
    }

    /// Heads that have begun so far.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    fn take(&mut self, byte: u8) -> Result<(), Ambiguous> {
        match (byte, self.after_cr) {
            (b'\n', true) => {
                self.after_cr = false;
                self.line()?;
                self.kept.clear();
                self.length = 0;
            }
            (b'\n', false) | (_, true) => return Err(Ambiguous),
            (b'\r', false) => self.after_cr = true,
            (byte, false) => {
                if self.part == Part::Between {
                    self.part = Part::RequestLine;
                    self.heads += 1;
                }
                if self.length < KEPT_BYTES {
                    self.kept.push(byte);
                }
                self.length += 1;
            }
        }
        Ok(())
    }

    /// Handles a complete line.
    fn line(&mut self) -> Result<(), Ambiguous> {
        let folded = matches!(self.kept.first(), Some(b' ' | b'\t'));
        self.part = match self.part {
            Part::RequestLine => Part::Field,
            Part::Field if self.length == 0 => self.head_ends()?,
            Part::Field | Part::Trailer if folded => return Err(Ambiguous),
            Part::Field => self.field()?,
            Part::ChunkSize => match self.chunk_size()? {
                0 => Part::Trailer,
                size => Part::ChunkData(size),
            },
            Part::ChunkEnd if self.length == 0 => Part::ChunkSize,
            Part::ChunkEnd => return Err(Ambiguous),
            Part::Trailer if self.length == 0 => Part::Between,
            other => other,
        };
        Ok(())
    }

    fn field(&mut self) -> Result<Part, Ambiguous> {
        let colon = self.kept.iter().position(|byte| *byte == b':');
        // A name longer than what is kept is not one that frames messages.
        let Some(colon) = colon else { return Ok(Part::Field) };
        let (name, value) = (&self.kept[..colon], self.kept[colon + 1..].trim_ascii());
        // With white space before the colon, some implementations recognise the name and others do
        // not.
        let name_only = name.trim_ascii();
        let is_length = name_only.eq_ignore_ascii_case(b"content-length");
        let is_coding = name_only.eq_ignore_ascii_case(b"transfer-encoding");
        if !(is_length || is_coding) {
            return Ok(Part::Field);
        }
        if name_only.len() != name.len() || self.length > KEPT_BYTES {
            return Err(Ambiguous);
        }
        if is_coding {
            let again = std::mem::replace(&mut self.chunked, true);
            return (value.eq_ignore_ascii_case(b"chunked") && !again)
                .then_some(Part::Field)
                .ok_or(Ambiguous);
        }
        let length = number(value, 10).ok_or(Ambiguous)?;
        match self.content_length.replace(length) {
            Some(before) if before != length => Err(Ambiguous),
            _ => Ok(Part::Field),
        }
    }

    fn head_ends(&mut self) -> Result<Part, Ambiguous> {
        match (self.content_length.take(), std::mem::take(&mut self.chunked)) {
            (Some(_), true) => Err(Ambiguous),
            (None, true) => Ok(Part::ChunkSize),
            (None | Some(0), false) => Ok(Part::Between),
            (Some(length), false) => Ok(Part::Body(length)),
        }
    }

    /// Hexadecimal digits, and optionally an extension of visible characters, which is ignored.
    fn chunk_size(&self) -> Result<u64, Ambiguous> {
        let end = self.kept.iter().position(|byte| *byte == b';').unwrap_or(self.kept.len());
        let (size, extension) = self.kept.split_at(end);
        let harmless = extension.iter().all(|byte| (0x21..0x7f).contains(byte));
        if self.length > KEPT_BYTES || size.len() > CHUNK_SIZE_DIGITS || !harmless || extension == b";" {
            return Err(Ambiguous);
        }
        number(size, 16).ok_or(Ambiguous)
    }
}

fn skip(bytes: &[u8], left: u64) -> (&[u8], u64) {
    let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (&bytes[skipped..], left - skipped as u64)
}

/// Digits only; some implementations read `+5` and `0x5` as numbers.
fn number(text: &[u8], radix: u32) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(|byte| char::from(*byte).is_digit(radix));
    digits.then(|| u64::from_str_radix(std::str::from_utf8(text).ok()?, radix).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "POST / HTTP/1.1\r\nHost: x\r\n";

    /// The heads seen, the same for every split of the text; `Err` if it is refused.
    fn heads(text: &str) -> Result<u64, Ambiguous> {
        let mut counts = [1, 2, 3, 7, text.len()].into_iter().map(|size| {
            let mut lines = Lines::default();
            text.as_bytes().chunks(size).try_for_each(|piece| lines.pass(piece).map(|_| ()))?;
            Ok(lines.heads())
        });
        let first = counts.next().unwrap();
        counts.for_each(|count| assert_eq!(count, first, "{text:?}"));
        first
    }

    #[test]
    fn messages_end_where_they_say() {
        for (message, count) in [
            (format!("{HEAD}\r\n"), 1),
            (format!("{HEAD}\r\n{HEAD}\r\n"), 2),
            (format!("\r\n\r\n{HEAD}\r\n"), 1),
            (format!("{HEAD}Content-Length: 5\r\n\r\n12\n\r5{HEAD}\r\n"), 2),
            (format!("{HEAD}content-length: 5\r\ncontent-length: 5\r\n\r\n12345{HEAD}"), 2),
            (
                format!(
                    "{HEAD}Transfer-Encoding: Chunked\r\n\r\n3\r\na\nb\r\n0a;x=1\r\n0123456789\r\n0\r\n\r\n{HEAD}"
                ),
                2,
            ),
            (format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n{HEAD}"), 2),
            (format!("{HEAD}X-{}: {}\r\n\r\n{HEAD}", "y".repeat(99), "z".repeat(999)), 2),
        ] {
            assert_eq!(heads(&message), Ok(count), "{message:?}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        for (fields, body) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", ""),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", ""),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", ""),
            ("Content-Length: 5, 5\r\n", ""),
            ("Content-Length: +5\r\n", ""),
            ("Content-Length: 0x5\r\n", ""),
            ("Content-Length:\r\n", ""),
            ("Content-Length : 5\r\n", ""),
            ("Content-Length: 99999999999999999999999\r\n", ""),
            ("Transfer-Encoding: gzip, chunked\r\n", ""),
            ("Transfer-Encoding: xchunked\r\n", ""),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", ""),
            ("Transfer-Encoding\t: chunked\r\n", ""),
            ("A: b\n", ""),
            ("A: b\rc\r\n", ""),
            ("A: b\r\n c\r\n", ""),
            ("Transfer-Encoding: chunked\r\n", "3\n"),
            ("Transfer-Encoding: chunked\r\n", "0x3\r\n"),
            ("Transfer-Encoding: chunked\r\n", "3 \r\n"),
            ("Transfer-Encoding: chunked\r\n", "-3\r\n"),
            ("Transfer-Encoding: chunked\r\n", "\r\n"),
            ("Transfer-Encoding: chunked\r\n", "3;\r\n"),
            ("Transfer-Encoding: chunked\r\n", "3;a\nb\r\n"),
            ("Transfer-Encoding: chunked\r\n", "3;\u{7f}\r\n"),
            ("Transfer-Encoding: chunked\r\n", "ffffffffffffffff1\r\n"),
            ("Transfer-Encoding: chunked\r\n", "3\r\nabcd\r\n"),
            ("Transfer-Encoding: chunked\r\n", "0\r\n folded: x\r\n"),
        ] {
            assert_eq!(heads(&format!("{HEAD}{fields}\r\n{body}")), Err(Ambiguous), "{fields:?} {body:?}");
        }
    }

    #[test]
    fn a_head_in_pieces_is_known_to_be_one() {
        let mut lines = Lines::default();
        let whole = format!("{HEAD}Content-Length: 1\r\n\r\n");
        for byte in &whole.as_bytes()[..whole.len() - 1] {
            assert_eq!(lines.pass(&[*byte]), Ok(true));
        }
        assert_eq!(lines.pass(b"\n"), Ok(false));
        assert_eq!(lines.pass(b"x"), Ok(false));
        assert_eq!(lines.pass(b"P"), Ok(true));
    }
}
