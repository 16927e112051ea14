//! The VietQR text of a payment: EMVCo tag-length-value, closed by a CRC.

use super::{ACCOUNT_NUMBER, BIN};

/// The QR text for one transfer of `amount` VND with this bank memo.
pub fn text(amount: i64, memo: &str) -> String {
    let account = tlv("00", BIN) + &tlv("01", ACCOUNT_NUMBER);
    let merchant = tlv("00", "A000000727") + &tlv("01", &account) + &tlv("02", "QRIBFTTA");
    let fields = [
        tlv("00", "01"),
        tlv("01", "12"),
        tlv("38", &merchant),
        tlv("53", "704"),
        tlv("54", &amount.to_string()),
        tlv("58", "VN"),
        tlv("62", &tlv("08", &ascii(memo))),
    ];
    let open = fields.concat() + "6304";
    let crc = crc16(open.as_bytes());
    format!("{open}{crc:04X}")
}

/// CRC-16/CCITT-FALSE: polynomial 1021, start FFFF, not reflected.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| shift(crc)))
}

fn shift(crc: u16) -> u16 {
    if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
}

fn tlv(tag: &str, value: &str) -> String {
    format!("{tag}{:02}{value}", value.len())
}

/// Banks carry ASCII only, so Vietnamese letters lose their marks and other ones become spaces.
fn ascii(memo: &str) -> String {
    memo.chars()
        .map(|letter| if letter.is_ascii() && !letter.is_ascii_control() { letter } else { bare(letter) })
        .collect()
}

fn bare(letter: char) -> char {
    const MARKED: [(char, &str); 7] = [
        ('a', "àáảãạăằắẳẵặâầấẩẫậ"),
        ('d', "đ"),
        ('e', "èéẻẽẹêềếểễệ"),
        ('i', "ìíỉĩị"),
        ('o', "òóỏõọôồốổỗộơờớởỡợ"),
        ('u', "ùúủũụưừứửữự"),
        ('y', "ỳýỷỹỵ"),
    ];
    let lower = letter.to_lowercase().next().unwrap_or(letter);
    let Some((plain, _)) = MARKED.iter().find(|(_, marked)| marked.contains(lower)) else {
        return ' ';
    };
    if letter.is_uppercase() { plain.to_ascii_uppercase() } else { *plain }
}
