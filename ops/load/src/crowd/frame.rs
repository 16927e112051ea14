//! WebSocket frames (RFC 6455) as bytes, as a client of little memory needs them: a server's are not masked and, from ours,
//! never in pieces.

use thiserror::Error;

/// Nothing longer is expected.
const LONGEST: usize = 1 << 20;
/// A client has to mask what it sends; nobody who could be misled by it is in between here.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0x9e];

/// A frame of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A message.
    Text(&'a [u8]),
    /// To be answered with the same.
    Ping(&'a [u8]),
    /// Nothing to do.
    Pong,
    /// It is over, with this code.
    Close(Option<u16>),
}

/// What is no frame that we expect.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub enum FrameError {
    /// In pieces, masked, binary, or with a bit that has no meaning.
    #[error("a frame begins with {0:#x} {1:#x}")]
    Head(u8, u8),
    /// It is longer than anything expected.
    #[error("a frame is longer than {LONGEST} bytes")]
    TooLong,
}

/// What has come of a frame that is not whole. Empty between frames, so that a quiet connection costs nothing.
#[derive(Debug, Default)]
pub struct Frames {
    kept: Vec<u8>,
}

impl Frames {
    /// Takes what has come, and gives every frame that is whole by now to `each`.
    ///
    /// # Errors
    /// It is none.
    pub fn take(&mut self, bytes: &[u8], mut each: impl FnMut(Frame<'_>)) -> Result<(), FrameError> {
        if self.kept.is_empty() {
            let used = read(bytes, &mut each)?;
            self.kept.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut all = std::mem::take(&mut self.kept);
        all.extend_from_slice(bytes);
        let used = read(&all, &mut each)?;
        if used < all.len() {
            all.drain(..used);
            self.kept = all;
        }
        Ok(())
    }
}

/// Reads whole frames; gives how many bytes they took.
fn read(bytes: &[u8], each: &mut impl FnMut(Frame<'_>)) -> Result<usize, FrameError> {
    let mut at = 0;
    while let Some((frame, length)) = first(&bytes[at..])? {
        at += length;
        each(frame);
    }
    Ok(at)
}

fn first(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let [head, short, rest @ ..] = bytes else { return Ok(None) };
    let unexpected = FrameError::Head(*head, *short);
    let (length, before) = match short {
        0..=125 => (usize::from(*short), 2),
        126 => match rest {
            [a, b, ..] => (usize::from(u16::from_be_bytes([*a, *b])), 4),
            _ => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(long) => (usize::try_from(u64::from_be_bytes(*long)).map_err(|_| FrameError::TooLong)?, 10),
            None => return Ok(None),
        },
        _ => return Err(unexpected),
    };
    if length > LONGEST {
        return Err(FrameError::TooLong);
    }
    let Some(payload) = bytes.get(before..before + length) else { return Ok(None) };
    let frame = match head {
        0x81 => Frame::Text(payload),
        0x88 => Frame::Close(payload.first_chunk::<2>().map(|code| u16::from_be_bytes(*code))),
        0x89 => Frame::Ping(payload),
        0x8a => Frame::Pong,
        _ => return Err(unexpected),
    };
    Ok(Some((frame, before + length)))
}

/// Appends the answer to a ping.
pub fn pong(to: &mut Vec<u8>, payload: &[u8]) {
    let length = u8::try_from(payload.len()).ok().filter(|length| *length <= 125).unwrap_or(0);
    to.extend_from_slice(&[0x8a, 0x80 | length]);
    to.extend_from_slice(&MASK);
    to.extend(payload.iter().take(usize::from(length)).zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![head];
        match payload.len() {
            short @ 0..=125 => bytes.push(u8::try_from(short).unwrap()),
            middle @ 126..=65_535 => {
                bytes.push(126);
                bytes.extend(u16::try_from(middle).unwrap().to_be_bytes());
            }
            long => {
                bytes.push(127);
                bytes.extend(u64::try_from(long).unwrap().to_be_bytes());
            }
        }
        bytes.extend_from_slice(payload);
        bytes
    }

    fn told(frames: &mut Frames, bytes: &[u8], to: &mut Vec<String>) -> Result<(), FrameError> {
        frames.take(bytes, |frame| {
            to.push(match frame {
                Frame::Text(text) => format!("text {}", text.len()),
                Frame::Ping(payload) => format!("ping {}", String::from_utf8_lossy(payload)),
                Frame::Pong => "pong".to_owned(),
                Frame::Close(code) => format!("close {code:?}"),
            });
        })
    }

    #[test]
    fn frames_are_whole_wherever_the_bytes_are_split() {
        let texts = [vec![b'x'; 5], vec![b'y'; 300], Vec::new(), vec![b'z'; 70_000]];
        let mut all: Vec<u8> = texts.iter().flat_map(|text| frame(0x81, text)).collect();
        let before_long = all.len() - 70_010;
        all.splice(0..0, frame(0x89, b"hi"));
        all.extend(frame(0x8a, b""));
        all.extend(frame(0x88, &[0x03, 0xe9, b'x']));
        let expected = ["ping hi", "text 5", "text 300", "text 0", "text 70000", "pong", "close Some(1001)"];
        let near = (0..before_long + 30).chain(all.len() - 20..=all.len());
        for split in near {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            told(&mut frames, &all[..split], &mut seen).unwrap();
            told(&mut frames, &all[split..], &mut seen).unwrap();
            assert_eq!(seen, expected, "{split}");
            assert!(frames.kept.is_empty() && frames.kept.capacity() == 0);
        }
        let (mut frames, mut seen) = (Frames::default(), Vec::new());
        all.chunks(1).take(400).for_each(|byte| told(&mut frames, byte, &mut seen).unwrap());
        assert_eq!(seen, expected[..4]);
    }

    #[test]
    fn what_no_server_sends_is_refused() {
        let refused = |bytes: &[u8]| told(&mut Frames::default(), bytes, &mut Vec::new()).unwrap_err();
        assert_eq!(refused(&[0x81, 0x85, 0, 0, 0, 0]), FrameError::Head(0x81, 0x85));
        assert_eq!(refused(&[0x01, 0x00]), FrameError::Head(0x01, 0x00));
        assert_eq!(refused(&[0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0]), FrameError::TooLong);
    }

    #[test]
    fn a_pong_is_the_ping_masked() {
        let mut bytes = Vec::new();
        pong(&mut bytes, b"abcde");
        assert_eq!(bytes[..2], [0x8a, 0x85]);
        let unmasked: Vec<u8> =
            bytes[6..].iter().zip(bytes[2..6].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(unmasked, b"abcde");
    }
}
