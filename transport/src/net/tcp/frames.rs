//! Watches HTTP/2 frame headers as they pass, and limits what h2 accepts without limit.
//!
//! ```text
//!   preface ──▶ header (9 bytes) ──▶ payload (skipped) ──▶ header …
//! ```
//!
//! h2 limits CONTINUATION frames, the resets that it has to send (MadeYouReset), and resets that
//! arrive before their request was accepted (rapid reset). It answers PING and SETTINGS without
//! limit, skips empty DATA and unknown frames without limit, and allows resets of streams whose
//! request was handed over. Nothing is decoded here; frames that are wrong in other ways are h2's
//! to refuse.

use super::watch::Watch;

const PREFACE_BYTES: u64 = 24;
const HEADER_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;

/// The position in the frames of one connection.
pub(super) struct Frames {
    /// Bytes to skip: the preface, then payloads.
    skip: u64,
    header: [u8; HEADER_BYTES],
    /// Bytes of `header` that have arrived.
    have: usize,
    /// A header block has begun and its last frame has not.
    in_block: bool,
    /// Resets that the peer may still send.
    resets: u32,
}

/// The peer exceeded a limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flood;

impl Frames {
    pub(super) fn new(resets: u32) -> Self {
        Self { skip: PREFACE_BYTES, header: [0; HEADER_BYTES], have: 0, in_block: false, resets }
    }

    /// Inspects bytes that were just read.
    pub(super) fn pass(&mut self, mut bytes: &[u8], watch: &Watch) -> Result<(), Flood> {
        while !bytes.is_empty() {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            bytes = &bytes[skipped..];
            let taken = (HEADER_BYTES - self.have).min(bytes.len());
            self.header[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == HEADER_BYTES {
                self.have = 0;
                self.frame(watch)?;
            }
        }
        // A block is still arriving while the payload of its last frame is.
        let ends_inside = self.in_block || (self.skip > 0 && self.is_block());
        watch.head_arriving(ends_inside);
        Ok(())
    }

    fn is_block(&self) -> bool {
        self.have == 0 && matches!(self.header[3], HEADERS | CONTINUATION)
    }

    fn frame(&mut self, watch: &Watch) -> Result<(), Flood> {
        let [a, b, c, kind, flags, ..] = self.header;
        self.skip = u64::from(u32::from_be_bytes([0, a, b, c]));
        let keeps_house = match kind {
            HEADERS | CONTINUATION => {
                self.in_block = flags & END_HEADERS == 0;
                // A request earns more than its head costs. A head that h2 refuses by itself earns nothing.
                kind == HEADERS
            }
            RST_STREAM => {
                self.resets = self.resets.checked_sub(1).ok_or(Flood)?;
                false
            }
            // The last frame of a body may be empty; padding can carry many bytes of nothing.
            DATA => flags & PADDED != 0 || (self.skip == 0 && flags & END_STREAM == 0),
            _ => true,
        };
        if keeps_house && !watch.keeps_house() {
            return Err(Flood);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use authepy_http3::limits::HOUSEKEEPING_BUDGET_FRAMES;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        out.extend_from_slice(&[kind, flags, 0, 0, 0, 1]);
        out.extend_from_slice(payload);
        out
    }

    fn watch() -> std::rc::Rc<Watch> {
        Watch::new(Duration::from_secs(1), Duration::from_secs(1))
    }

    /// Passes a preface and these frames in pieces of `size`.
    fn pass(frames: &[Vec<u8>], size: usize, resets: u32) -> Result<(), Flood> {
        let (mut seen, watch) = (Frames::new(resets), watch());
        let wire = [PREFACE, &frames.concat()].concat();
        wire.chunks(size).try_for_each(|piece| seen.pass(piece, &watch))
    }

    #[test]
    fn floods_are_seen_however_they_are_cut() {
        let budget = HOUSEKEEPING_BUDGET_FRAMES as usize;
        for size in [1, 2, 9, 10, 17, 4096] {
            for (kind, flags, payload) in [
                (PING, 0, &[0; 8][..]),
                (4, 0, &[]),
                (DATA, 0, &[]),
                (DATA, PADDED, &[3, 0, 0, 0]),
                (0xbe, 0, b"x"),
            ] {
                let mut flood = vec![frame(kind, flags, payload); budget];
                assert_eq!(pass(&flood, size, 0), Ok(()), "frame {kind} by {size}");
                flood.push(frame(kind, flags, payload));
                assert_eq!(pass(&flood, size, 0), Err(Flood), "frame {kind} by {size}");
            }
            let resets = vec![frame(RST_STREAM, 0, &[0; 4]); 3];
            assert_eq!(pass(&resets, size, 3), Ok(()));
            assert_eq!(pass(&resets, size, 2), Err(Flood));
            let heads = vec![frame(HEADERS, END_HEADERS, b"\x82"); budget];
            assert_eq!(pass(&heads, size, 0), Ok(()), "heads by {size}");
            let heads = vec![frame(HEADERS, END_HEADERS, b"\x82"); budget + 1];
            assert_eq!(pass(&heads, size, 0), Err(Flood), "heads that begin no request by {size}");
            let body = vec![frame(DATA, 0, b"{}"); 2 * budget];
            assert_eq!(pass(&body, size, 0), Ok(()), "a body costs nothing here");
        }
    }
}
