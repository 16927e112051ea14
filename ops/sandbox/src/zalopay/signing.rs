//! The texts that ZaloPay signs with HMAC-SHA256: values exactly as sent, joined with `|`.

/// What a create request signs, with key1.
pub const CREATE: [&str; 7] = ["app_id", "app_trans_id", "app_user", "amount", "app_time", "embed_data", "item"];
/// What a refund signs, with key1.
pub const REFUND: [&str; 5] = ["app_id", "zp_trans_id", "amount", "description", "timestamp"];
/// What a refund with a fee signs, with key1.
pub const REFUND_WITH_FEE: [&str; 6] =
    ["app_id", "zp_trans_id", "amount", "refund_fee_amount", "description", "timestamp"];
/// What a question after a refund signs, with key1.
pub const QUERY_REFUND: [&str; 3] = ["app_id", "m_refund_id", "timestamp"];

/// The text of these values.
pub fn joined<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    values.into_iter().collect::<Vec<_>>().join("|")
}

/// What a question after an order signs: the key itself is part of it.
pub fn query(app_id: &str, app_trans_id: &str, key1: &str) -> String {
    joined([app_id, app_trans_id, key1])
}
