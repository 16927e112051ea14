//! Takes the bytes of an Avro datum apart, piece by piece.
//!
//! Invariant: whatever the bytes are, it neither panics nor takes memory that they do not account for.

/// The bytes do not follow their schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bytes do not follow their schema: {0}")]
pub struct BadDatum(&'static str);

fn bad<T>(what: &'static str) -> Result<T, BadDatum> {
    Err(BadDatum(what))
}

/// What is left of a datum.
#[derive(Debug, Clone, Copy)]
pub struct Datum<'d>(&'d [u8]);

impl<'d> Datum<'d> {
    /// A datum from its first byte on.
    pub fn new(bytes: &'d [u8]) -> Self {
        Self(bytes)
    }

    /// That nothing is left.
    ///
    /// # Errors
    /// Something is.
    pub fn end(&self) -> Result<(), BadDatum> {
        if self.0.is_empty() { Ok(()) } else { bad("bytes are left over") }
    }

    /// A number of up to 64 bits.
    ///
    /// # Errors
    /// There is none.
    pub fn long(&mut self) -> Result<i64, BadDatum> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte, rest @ ..] = self.0 else { return bad("they end within a number") };
            self.0 = rest;
            if shift == 63 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let (half, sign) = (value >> 1, value & 1);
                return Ok((half ^ sign.wrapping_neg()).cast_signed());
            }
        }
        bad("a number has more than 64 bits")
    }

    /// A number of up to 32 bits.
    ///
    /// # Errors
    /// There is none.
    pub fn int(&mut self) -> Result<i32, BadDatum> {
        i32::try_from(self.long()?).or_else(|_| bad("a number has more than 32 bits"))
    }

    /// Yes or no.
    ///
    /// # Errors
    /// There is neither.
    pub fn boolean(&mut self) -> Result<bool, BadDatum> {
        match self.0 {
            [byte @ (0 | 1), rest @ ..] => {
                self.0 = rest;
                Ok(*byte == 1)
            }
            _ => bad("there is no yes or no"),
        }
    }

    /// Bytes with their length before them.
    ///
    /// # Errors
    /// There are fewer.
    pub fn bytes(&mut self) -> Result<&'d [u8], BadDatum> {
        let length = usize::try_from(self.long()?).ok();
        let Some((taken, rest)) = length.and_then(|length| self.0.split_at_checked(length)) else {
            return bad("they end within a text");
        };
        self.0 = rest;
        Ok(taken)
    }

    /// A text.
    ///
    /// # Errors
    /// There is none, or it is not UTF-8.
    pub fn text(&mut self) -> Result<&'d str, BadDatum> {
        std::str::from_utf8(self.bytes()?).or_else(|_| bad("a text is not UTF-8"))
    }

    /// One of some symbols.
    ///
    /// # Errors
    /// It is none of them.
    pub fn symbol<'s>(&mut self, symbols: &'s [String]) -> Result<&'s str, BadDatum> {
        let index = usize::try_from(self.int()?).ok();
        index.and_then(|index| symbols.get(index)).map_or_else(|| bad("there is no such symbol"), |it| Ok(it.as_str()))
    }

    /// Whether null was written where something may be.
    ///
    /// # Errors
    /// Neither was.
    pub fn is_null(&mut self, null_first: bool) -> Result<bool, BadDatum> {
        match self.long()? {
            0 => Ok(null_first),
            1 => Ok(!null_first),
            _ => bad("there is no such alternative"),
        }
    }

    /// Every item of a list, one after the other.
    ///
    /// # Errors
    /// An item's, or the list's own bytes are wrong.
    pub fn list<E: From<BadDatum>>(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), E>) -> Result<(), E> {
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                // The block's length in bytes comes with it, for whoever wants to skip it.
                self.long()?;
                count = count.checked_neg().map_or_else(|| bad("a list has no length"), Ok)?;
            }
            // Every item of ours takes a byte at least.
            if usize::try_from(count).map_or(true, |count| count > self.0.len()) {
                bad("a list is longer than its bytes")?;
            }
            for _ in 0..count {
                item(self)?;
            }
        }
    }
}
