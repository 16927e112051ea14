//! The callback: sent only when money was taken, signed over the text of `data`.

use serde_json::{Value, json};

use crate::app::App;
use crate::notice::Notice;
use crate::sale::{Capture, Happening, Progress, Sale};
use crate::script::WebhookMode;
use crate::signature;

/// The callback of a happening. No failure is ever told, nor a refund.
pub fn notice(app: &App, sale: &Sale, happening: &Happening) -> Option<Notice> {
    let money = match happening {
        Happening::Captured(money) | Happening::CaptureSettled(money) => money,
        Happening::Approved
        | Happening::Declined
        | Happening::Cancelled
        | Happening::Expired(_)
        | Happening::Refunded(_)
        | Happening::RefundSettled(_)
        | Happening::FailureAfterSuccess => return None,
    };
    if money.status != Progress::Done {
        return None;
    }
    let keys = &app.settings.zalopay;
    let data = data(keys.zalopay_app_id, sale, money);
    let forged = sale.script.webhook == WebhookMode::BadSignature;
    let key2 = if forged { format!("not {}", keys.zalopay_key2) } else { keys.zalopay_key2.clone() };
    let mac = signature::sign(&key2, &data);
    Some(Notice::post(&money.reference, "order", json!({ "data": data, "mac": mac, "type": 1 }).to_string()))
}

/// The text that is signed, in the order of the documentation.
fn data(app_id: i64, sale: &Sale, money: &Capture) -> String {
    let text = |name: &str| Value::from(sale.extra_text(name));
    let number = |name: &str| sale.extra.get(name).cloned().unwrap_or_default();
    let members = [
        ("app_id", app_id.into()),
        ("app_trans_id", Value::from(sale.reference.as_str())),
        ("app_time", number("app_time")),
        ("app_user", text("app_user")),
        ("amount", money.amount.into()),
        ("embed_data", text("embed_data")),
        ("item", text("item")),
        ("zp_trans_id", money.reference.parse::<i64>().unwrap_or(0).into()),
        ("server_time", money.time.as_millisecond().into()),
        ("channel", super::redirect::CHANNEL.into()),
        ("merchant_user_id", sale.id.as_str().into()),
        ("user_fee_amount", 0.into()),
        ("discount_amount", 0.into()),
    ];
    let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}
