//! JSON read strictly and written canonically (RFC 8785), so that equal bodies have equal fingerprints.
//!
//! One deviation: integers are written with all their digits, where RFC 8785 would round those beyond 2^53,
//! so that two amounts never look the same.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

/// A JSON value none of whose objects names a member twice. It borrows from the text what it can.
#[derive(Debug, Clone, PartialEq)]
pub enum Strict<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A finite number.
    Number(Number),
    /// A text, unescaped.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Strict<'a>>),
    /// Members in the order of RFC 8785, 3.2.3: by the UTF-16 code units of their names.
    Object(Vec<(Cow<'a, str>, Strict<'a>)>),
}

impl<'de> Deserialize<'de> for Strict<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Strict<'de>, E> {
        Ok(Strict::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Strict<'de>, E> {
        Ok(Strict::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Strict<'de>, E> {
        Ok(Strict::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Strict<'de>, E> {
        Ok(Strict::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Strict<'de>, E> {
        Number::from_f64(value).map(Strict::Number).ok_or_else(|| E::custom("a number is finite"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Strict<'de>, E> {
        Ok(Strict::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Strict<'de>, E> {
        Ok(Strict::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Strict::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Strict<'de>, A::Error> {
        let mut object = Vec::new();
        while let Some(Name(name)) = members.next_key()? {
            object.push((name, members.next_value()?));
        }
        object.sort_by(|(a, _): &(Cow<'_, str>, _), (b, _)| in_order(a, b));
        match object.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(A::Error::custom(format_args!("the member {:?} is there twice", pair[0].0))),
            None => Ok(Strict::Object(object)),
        }
    }
}

impl<'a> From<&'a Value> for Strict<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(object) => {
                let mut members: Vec<_> =
                    object.iter().map(|(name, value)| (Cow::Borrowed(name.as_str()), value.into())).collect();
                members.sort_by(|(a, _), (b, _)| in_order(a, b));
                Self::Object(members)
            }
        }
    }
}

impl From<Strict<'_>> for Value {
    fn from(strict: Strict<'_>) -> Self {
        match strict {
            Strict::Null => Self::Null,
            Strict::Bool(value) => Self::Bool(value),
            Strict::Number(number) => Self::Number(number),
            Strict::Text(text) => Self::String(text.into_owned()),
            Strict::List(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Strict::Object(members) => {
                Self::Object(members.into_iter().map(|(name, value)| (name.into_owned(), value.into())).collect())
            }
        }
    }
}

/// By UTF-16 code units, which for ASCII are the bytes.
fn in_order(a: &str, b: &str) -> std::cmp::Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

/// The name of a member.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor).map(Self)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// The canonical text of a value: no spaces, members sorted by the UTF-16 code units of their names.
pub fn to_string(value: &Strict<'_>) -> String {
    let mut out = Vec::with_capacity(512);
    write(value, &mut out);
    String::from_utf8(out).expect("only texts are written")
}

/// The depth is bounded by the parser's own limit of 128.
fn write(value: &Strict<'_>, out: &mut Vec<u8>) {
    match value {
        Strict::Null => out.extend_from_slice(b"null"),
        Strict::Bool(true) => out.extend_from_slice(b"true"),
        Strict::Bool(false) => out.extend_from_slice(b"false"),
        Strict::Number(number) => write_number(number, out),
        Strict::Text(text) => write_text(text, out),
        Strict::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                separate(index, out);
                write(item, out);
            }
            out.push(b']');
        }
        Strict::Object(members) => {
            out.push(b'{');
            for (index, (name, value)) in members.iter().enumerate() {
                separate(index, out);
                write_text(name, out);
                out.push(b':');
                write(value, out);
            }
            out.push(b'}');
        }
    }
}

fn separate(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    // serde_json escapes exactly what RFC 8785, 3.2.2.2 does: the short forms, and \u00xx in lower case.
    serde_json::to_writer(out, text).expect("a text is JSON, and memory takes it");
}

fn write_number(number: &Number, out: &mut Vec<u8>) {
    let text = match number.is_i64() || number.is_u64() {
        true => number.to_string(),
        false => ecmascript(number.as_f64().expect("a JSON number is an integer or a double")),
    };
    out.extend_from_slice(text.as_bytes());
}

/// ECMAScript's `Number::toString` (ECMA-262, 6.1.6.1.20): shortest digits, exponent only outside 1e-7 to 1e21.
fn ecmascript(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let nearest = nearest_shortest(number.abs());
    let (mantissa, exponent) = nearest.split_once('e').expect("Rust's exponent form has an e");
    let digits = mantissa.replace('.', "");
    let point = exponent.parse::<i32>().expect("Rust's exponent is a number") + 1;
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{}", place_point(&digits, point))
}

/// The fewest digits that mean this double, in Rust's exponent form; of several, the nearest, and the even one of two
/// as near, which Rust's own shortest form does not promise.
fn nearest_shortest(number: f64) -> String {
    let shortest = format!("{number:e}");
    let digits = shortest.bytes().take_while(|&it| it != b'e').filter(u8::is_ascii_digit).count();
    let nearest = format!("{number:.*e}", digits - 1);
    if nearest.parse() == Ok(number) { nearest } else { shortest }
}

/// `digits` with the decimal point after the first `point` of them.
fn place_point(digits: &str, point: i32) -> String {
    let count = i32::try_from(digits.len()).expect("a double has at most 17 digits");
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    let split = |at: i32| digits.split_at(usize::try_from(at).unwrap_or(0));
    match point {
        _ if point >= count && point <= 21 => format!("{digits}{}", zeros(point - count)),
        1..=21 => {
            let (whole, fraction) = split(point);
            format!("{whole}.{fraction}")
        }
        -5..=0 => format!("0.{}{digits}", zeros(-point)),
        _ => {
            let (first, rest) = split(1);
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{first}{dot}{rest}e{:+}", point - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        to_string(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn rfc_8785_3_2_2_primitive_values() {
        let text = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        let expected = concat!(
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
            r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#
        );
        let mut value = serde_json::from_str(text).unwrap();
        // serde_json reads a double quickly, and then not always as the nearest one; money is whole numbers.
        let Strict::Object(members) = &mut value else { panic!() };
        let Strict::List(numbers) = &mut members[1].1 else { panic!() };
        numbers[0] = Strict::Number(Number::from_f64("333333333.33333329".parse().unwrap()).unwrap());
        assert_eq!(to_string(&value), expected);
    }

    #[test]
    fn rfc_8785_3_2_3_members_sort_by_utf_16() {
        let text = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",
            "1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
        let again = canonical(text);
        let Strict::Object(object) = serde_json::from_str(&again).unwrap() else { panic!() };
        assert_eq!(object.len(), 7);
        let order: Vec<_> = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"]
            .iter()
            .map(|word| canonical(text).find(word).unwrap())
            .collect();
        assert!(order.is_sorted(), "{order:?}");
    }

    #[test]
    fn rfc_8785_appendix_b_numbers() {
        let vectors: [(u64, &str); 24] = [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ];
        for (bits, expected) in vectors {
            assert_eq!(ecmascript(f64::from_bits(bits)), expected, "{bits:016x}");
        }
    }

    #[test]
    fn integers_keep_their_digits_and_equal_whole_doubles() {
        assert_eq!(
            canonical("[9007199254740993, 18446744073709551615, -1]"),
            "[9007199254740993,18446744073709551615,-1]"
        );
        assert_eq!(canonical("[1.0, 150000.0, -0.0]"), "[1,150000,0]");
    }

    #[test]
    fn a_member_named_twice_is_refused_at_any_depth() {
        for bad in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
            let error = serde_json::from_str::<Strict<'_>>(bad).unwrap_err();
            assert!(error.to_string().contains("the member \"a\" is there twice"), "{error}");
        }
    }

    #[test]
    fn order_and_spaces_do_not_matter() {
        assert_eq!(canonical("{ \"b\" : 1, \"a\" : [ ] }"), canonical("{\"a\":[],\"b\":1}"));
        assert_ne!(canonical("[1,2]"), canonical("[2,1]"));
    }
}
