//! A place read from JSON without reading JSON: thousands a second are looked at, and only some of their fields matter.

/// What a place says of itself; what is null or not there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen<'a> {
    /// The place's name.
    pub session: &'a str,
    /// A fresh ticket.
    pub ticket: &'a str,
    /// Where it stands.
    pub status: &'a str,
    /// The ordinal of joining.
    pub number: Option<u32>,
    /// The order of service.
    pub place: Option<u32>,
    /// How many wait in front.
    pub ahead: Option<u32>,
    /// Until when to enter.
    pub enter_by: Option<&'a str>,
}

/// What comes before a place in a message on a socket.
const PUSHED: &[u8] = br#"{"type":"queue","queue":"#;

/// The place in an answer; none if it is no object, or lacks what every place has.
pub fn place(body: &[u8]) -> Option<Seen<'_>> {
    let mut seen = Seen::default();
    let mut rest = Rest(body);
    rest.expect(b'{')?;
    loop {
        let name = rest.string()?;
        rest.expect(b':')?;
        let value = rest.value()?;
        let number = || std::str::from_utf8(value).ok()?.parse().ok();
        let text = || std::str::from_utf8(value).ok();
        match name {
            b"session" => seen.session = text()?,
            b"queue_ticket" => seen.ticket = text()?,
            b"status" => seen.status = text()?,
            b"number" => seen.number = number(),
            b"place" => seen.place = number(),
            b"ahead" => seen.ahead = number(),
            b"enter_by" => seen.enter_by = text().filter(|it| *it != "null"),
            _ => {}
        }
        match rest.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    let whole = !seen.session.is_empty() && !seen.ticket.is_empty() && !seen.status.is_empty();
    whole.then_some(seen)
}

/// The place in a message on a socket; none if it tells of something else.
pub fn pushed(message: &[u8]) -> Option<Seen<'_>> {
    place(message.strip_prefix(PUSHED)?)
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// The next byte that is no space.
    fn next(&mut self) -> Option<u8> {
        loop {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            if !first.is_ascii_whitespace() {
                return Some(*first);
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        self.rest_of_string()
    }

    fn rest_of_string(&mut self) -> Option<&'a [u8]> {
        let mut at = 0;
        loop {
            match self.0.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        let (text, rest) = self.0.split_at(at);
        self.0 = &rest[1..];
        Some(text)
    }

    /// Of a string what is in it; what is nested is skipped.
    fn value(&mut self) -> Option<&'a [u8]> {
        let begun = self.0.trim_ascii_start();
        self.0 = begun;
        match *begun.first()? {
            b'"' => self.string(),
            b'{' | b'[' => self.nested(),
            _ => {
                let end = begun.iter().position(|it| matches!(it, b',' | b'}' | b']') || it.is_ascii_whitespace())?;
                self.0 = &begun[end..];
                Some(&begun[..end])
            }
        }
    }

    fn nested(&mut self) -> Option<&'a [u8]> {
        let mut depth = 0;
        loop {
            match self.next()? {
                b'"' => drop(self.rest_of_string()?),
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(&[]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = r#"{"session":"5f2c","queue_ticket":"AQ-_x","status":"admitted","number":12,"place":7,"ahead":null,"position":null,"estimated_wait_s":3,"enter_by":"2026-01-02T03:04:05.000006Z","poll_after_ms":1000}"#;

    #[test]
    fn a_place_is_read_as_a_parser_would() {
        let seen = place(PLACE.as_bytes()).unwrap();
        let expected = Seen {
            session: "5f2c",
            ticket: "AQ-_x",
            status: "admitted",
            number: Some(12),
            place: Some(7),
            ahead: None,
            enter_by: Some("2026-01-02T03:04:05.000006Z"),
        };
        assert_eq!(seen, expected);
        let pushed_text = format!(r#"{{"type":"queue","queue":{PLACE}}}"#);
        assert_eq!(pushed(pushed_text.as_bytes()), Some(expected));
        assert_eq!(pushed(br#"{"type":"availability","availability":{"show":"x"}}"#), None);
    }

    #[test]
    fn spaces_nesting_and_escapes_do_not_mislead() {
        let text = r#"{ "x": {"status": "left", "y": ["}", 1]}, "note": "a\"status\":\"left", "status" : "queued" ,
            "session": "s", "queue_ticket": "t", "ahead": 41 }"#;
        let seen = place(text.as_bytes()).unwrap();
        assert_eq!((seen.status, seen.ahead, seen.number), ("queued", Some(41), None));
    }

    #[test]
    fn half_of_it_is_nothing() {
        for end in 0..PLACE.len() {
            assert_eq!(place(&PLACE.as_bytes()[..end]), None, "{end}");
        }
        for other in ["", "[]", "{}", "null", r#"{"status":"queued"}"#] {
            assert_eq!(place(other.as_bytes()), None, "{other}");
        }
    }
}
