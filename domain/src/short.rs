//! A text that is nearly always short, 16 bytes in place.

use std::fmt;

use serde::{Deserialize, Serialize};

const INLINE: usize = 14;

/// Up to 14 bytes without a heap block, as order codes are; longer ones are kept on the heap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ShortText(Kept);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kept {
    Inline {
        length: u8,
        bytes: [u8; INLINE],
    },
    #[allow(clippy::box_collection, reason = "one pointer keeps the whole at 16 bytes")]
    Heap(Box<String>),
}

impl ShortText {
    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kept::Inline { length, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*length)]).expect("it was made of a whole text")
            }
            Kept::Heap(text) => text,
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Kept::Inline { .. } => 0,
            Kept::Heap(text) => size_of::<String>() + text.len(),
        }
    }
}

impl From<String> for ShortText {
    fn from(text: String) -> Self {
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(text.as_bytes());
                Self(Kept::Inline { length, bytes })
            }
            _ => Self(Kept::Heap(Box::new(text))),
        }
    }
}

impl From<ShortText> for String {
    fn from(text: ShortText) -> Self {
        text.as_str().to_owned()
    }
}

impl fmt::Display for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
