//! The HTML of the payment page. Every value goes through `escape`.

use super::payment::{Payment, Status};
use super::{ACCOUNT_NAME, ACCOUNT_NUMBER, BIN, CURRENCY, qr};
use crate::page::{COUNTDOWN, STYLE, escape};

/// What stands in for a page that does not exist.
pub const NOT_FOUND: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Not found</title>\
    <h1>There is no such payment link</h1></html>\n";

/// What a page shows.
pub struct View<'a> {
    /// The payment link.
    pub payment: &'a Payment,
    /// Its status now.
    pub status: Status,
    /// Seconds until it expires, if it does.
    pub left_s: Option<i64>,
    /// Where the way back leads.
    pub back_url: &'a str,
    /// Admits the page's own style and script.
    pub nonce: &'a str,
}

/// The whole page.
pub fn render(view: &View<'_>) -> String {
    let nonce = view.nonce;
    let body = [heading(view), facts(view), actions(view), way_back(view)].concat();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>Pay {merchant}</title><style nonce=\"{nonce}\">{STYLE}</style></head>\n\
         <body><main>\n{body}</main>\n<script nonce=\"{nonce}\">{COUNTDOWN}</script></body>\n</html>\n",
        merchant = escape(ACCOUNT_NAME),
    )
}

fn heading(view: &View<'_>) -> String {
    format!(
        "<p class=\"note\">This is a sandbox: no real money moves.</p>\n\
         <h1>Pay {merchant}</h1>\n<p class=\"amount\">{amount}</p>\n\
         <p role=\"status\">Status: <strong>{status}</strong>{explanation}</p>\n",
        merchant = escape(ACCOUNT_NAME),
        amount = money(view.payment.amount),
        status = view.status.name(),
        explanation = explanation(view),
    )
}

fn explanation(view: &View<'_>) -> String {
    match view.status {
        Status::Underpaid => {
            format!(" – {} received, {} missing", money(view.payment.paid()), money(view.payment.rest()))
        }
        Status::Pending => " – waiting for your transfer".to_owned(),
        Status::Processing => " – your bank is working on it".to_owned(),
        Status::Paid => " – thank you".to_owned(),
        Status::Cancelled | Status::Expired | Status::Failed => " – this link takes no more money".to_owned(),
    }
}

fn facts(view: &View<'_>) -> String {
    let payment = view.payment;
    let rows = [
        ("Description", escape(&payment.description)),
        ("Order", payment.order_code.to_string()),
        ("Bank (BIN)", BIN.to_owned()),
        ("Account", format!("{} – {}", escape(ACCOUNT_NUMBER), escape(ACCOUNT_NAME))),
        ("Expires", expiry(view)),
        ("QR text", format!("<code>{}</code>", escape(&qr::text(payment.amount, &payment.description)))),
    ];
    let rows: String = rows.iter().map(|(name, value)| format!("<dt>{name}</dt><dd>{value}</dd>\n")).collect();
    format!("<dl>\n{rows}</dl>\n")
}

fn expiry(view: &View<'_>) -> String {
    match view.left_s {
        None => "never".to_owned(),
        Some(left_s) if view.status.is_open() => format!(
            "in <span id=\"left\" role=\"timer\" data-seconds=\"{left_s}\">{} min {:02} s</span>",
            left_s / 60,
            left_s % 60
        ),
        Some(0) => "expired".to_owned(),
        Some(_) => "no longer counts".to_owned(),
    }
}

fn actions(view: &View<'_>) -> String {
    if !view.status.is_open() {
        return String::new();
    }
    let buttons = [
        ("pay", "first", format!("Pay {}", money(view.payment.rest()))),
        ("half", "", "Pay half".to_owned()),
        ("decline", "", "Decline (the bank refuses)".to_owned()),
        ("cancel", "", "Cancel".to_owned()),
    ];
    let link = escape(&view.payment.link_id);
    let form = |(action, class, label): &(&str, &str, String)| {
        format!(
            "<form method=\"post\" action=\"/pay/{link}/{action}\">\
             <button type=\"submit\" class=\"{class}\">{label}</button></form>\n"
        )
    };
    buttons.iter().map(form).collect()
}

fn way_back(view: &View<'_>) -> String {
    format!("<p><a href=\"{}\">Back to the shop</a></p>\n", escape(view.back_url))
}

fn money(amount: i64) -> String {
    let digits = amount.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('.');
        }
        grouped.push(digit);
    }
    format!("{grouped} {CURRENCY}")
}
