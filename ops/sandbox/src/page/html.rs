//! The HTML of the payment page. Every value goes through `escape`.

use crate::provider::Provider;
use crate::sale::{Sale, Status};

/// What stands in for a page that does not exist.
pub const NOT_FOUND: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Not found</title>\
    <h1>There is no such payment</h1></html>\n";

/// How the page looks.
pub const STYLE: &str = "\
body{font:1.0625rem/1.5 system-ui,sans-serif;margin:0;background:#f3f4f6;color:#111827}\
main{max-width:34rem;margin:2rem auto;padding:1.5rem;background:#fff;border-radius:.75rem}\
.note{margin:0 0 1rem;padding:.5rem .75rem;background:#fef3c7;border-left:.25rem solid #b45309}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}dt{color:#4b5563}\
dd{margin:0;overflow-wrap:anywhere}.amount{font-size:1.75rem;font-weight:700;margin:.25rem 0}\
form{display:inline}button{font:inherit;padding:.6rem 1rem;margin:.25rem .25rem .25rem 0;border:2px solid #1d4ed8;\
border-radius:.5rem;background:#fff;color:#1d4ed8;cursor:pointer}button.first{background:#1d4ed8;color:#fff}\
button:focus-visible,a:focus-visible{outline:3px solid #b45309;outline-offset:2px}";

/// Counts down beside the text that is there without it, and shows the new state at the end.
pub const COUNTDOWN: &str = "\
const at=document.getElementById('left');\
if(at){const end=performance.now()+Number(at.dataset.seconds)*1000;\
const timer=setInterval(()=>{const left=Math.max(0,Math.ceil((end-performance.now())/1000));\
at.textContent=Math.floor(left/60)+' min '+String(left%60).padStart(2,'0')+' s';\
if(left===0){clearInterval(timer);location.reload()}},1000)}";

/// What a page shows.
pub struct View<'a> {
    /// The sale.
    pub sale: &'a Sale,
    /// Its status now.
    pub status: Status,
    /// Whether there are buttons.
    pub takes_money: bool,
    /// Seconds until it expires, if it does.
    pub left_s: Option<i64>,
    /// Where the way back leads.
    pub back_url: &'a str,
    /// The page's own path.
    pub path: &'a str,
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
         <title>Pay with {provider}</title><style nonce=\"{nonce}\">{STYLE}</style></head>\n\
         <body><main>\n{body}</main>\n<script nonce=\"{nonce}\">{COUNTDOWN}</script></body>\n</html>\n",
        provider = brand(view.sale),
    )
}

fn heading(view: &View<'_>) -> String {
    format!(
        "<p class=\"note\">This is a sandbox: no real money moves.</p>\n\
         <h1>Pay with {provider}</h1>\n<p class=\"amount\">{amount}</p>\n\
         <p role=\"status\">Status: <strong>{status}</strong>{explanation}</p>\n",
        provider = brand(view.sale),
        amount = money(view.sale.amount, &view.sale.currency),
        status = view.status.name(),
        explanation = explanation(view),
    )
}

fn brand(sale: &Sale) -> &'static str {
    match sale.provider {
        Provider::Payos => "PayOS",
        Provider::Stripe => "Stripe",
        Provider::Vnpay => "VNPay",
        Provider::Zalopay => "ZaloPay",
        Provider::Paypal => "PayPal",
    }
}

fn explanation(view: &View<'_>) -> &'static str {
    match view.status {
        Status::Pending => " – waiting for you",
        Status::Approved => " – the shop takes the money now",
        Status::Processing => " – your bank is working on it",
        Status::Paid => " – thank you",
        Status::Cancelled | Status::Expired | Status::Failed => " – it takes no more money",
    }
}

fn facts(view: &View<'_>) -> String {
    let rows = [
        ("Description", escape(&view.sale.description)),
        ("Reference", escape(&view.sale.reference)),
        ("Payment", escape(&view.sale.id)),
        ("Expires", expiry(view)),
    ];
    let rows: String = rows.iter().map(|(name, value)| format!("<dt>{name}</dt><dd>{value}</dd>\n")).collect();
    format!("<dl>\n{rows}</dl>\n")
}

fn expiry(view: &View<'_>) -> String {
    match view.left_s {
        None => "never".to_owned(),
        Some(left_s) if view.takes_money => format!(
            "in <span id=\"left\" role=\"timer\" data-seconds=\"{left_s}\">{} min {:02} s</span>",
            left_s / 60,
            left_s % 60
        ),
        Some(0) => "expired".to_owned(),
        Some(_) => "no longer counts".to_owned(),
    }
}

fn actions(view: &View<'_>) -> String {
    if !view.takes_money {
        return String::new();
    }
    let pay = format!("Pay {}", money(view.sale.amount, &view.sale.currency));
    let buttons = [
        ("pay", "first", pay.as_str()),
        ("decline", "", "Decline (the bank refuses)"),
        ("leave", "", "Cancel and walk away"),
    ];
    let path = escape(view.path);
    let form = |(action, class, label): &(&str, &str, &str)| {
        format!(
            "<form method=\"post\" action=\"{path}/{action}\">\
             <button type=\"submit\" class=\"{class}\">{label}</button></form>\n"
        )
    };
    buttons.iter().map(form).collect()
}

fn way_back(view: &View<'_>) -> String {
    format!("<p><a href=\"{}\">Back to the shop</a></p>\n", escape(view.back_url))
}

/// Minor units as people write them. Only the currencies of the five providers that have no decimals are named.
fn money(amount: i64, currency: &str) -> String {
    let (whole, rest) = match currency {
        "VND" | "JPY" | "KRW" => (amount, String::new()),
        _ => (amount / 100, format!(",{:02}", amount % 100)),
    };
    let digits = whole.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('.');
        }
        grouped.push(digit);
    }
    format!("{grouped}{rest} {}", escape(currency))
}

/// Makes a text safe as HTML content and inside a quoted attribute.
pub fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, letter| {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
        safe
    })
}
