//! The sandbox as a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use provider_sandbox::{PaypalKeys, Settings, StripeKeys, VnpayKeys, ZalopayKeys};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A payment provider to test against: plays PayOS, Stripe, VNPay, ZaloPay and PayPal by their exact protocols.
///
/// The control API under /_control asks for no key: keep it on loopback.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// Where to listen.
    #[arg(long, env = "SANDBOX_LISTEN", default_value = "127.0.0.1:4600")]
    listen: SocketAddr,
    /// The expected x-client-id of PayOS.
    #[arg(long, env = "SANDBOX_CLIENT_ID", default_value = "sandbox-client")]
    client_id: String,
    /// The expected x-api-key of PayOS.
    #[arg(long, env = "SANDBOX_API_KEY", default_value = "sandbox-api-key", hide_env_values = true)]
    api_key: String,
    /// The key of all signatures of PayOS.
    #[arg(long, env = "SANDBOX_CHECKSUM_KEY", default_value = "sandbox-checksum-key", hide_env_values = true)]
    checksum_key: String,
    /// Where PayOS's webhooks go until /confirm-webhook says otherwise.
    #[arg(long, env = "SANDBOX_WEBHOOK_URL")]
    webhook_url: Option<String>,
    /// Where everybody's webhooks go: to {base}/v1/payments/{provider}/notify.
    #[arg(long, env = "SANDBOX_WEBHOOK_BASE_URL")]
    webhook_base_url: Option<String>,
    /// The most characters of a description at PayOS; 9 plays a bank account that is not linked.
    #[arg(long, env = "SANDBOX_DESCRIPTION_LIMIT", default_value_t = 25)]
    description_limit: usize,
    /// The journal file that keeps the books across restarts.
    #[arg(long, env = "SANDBOX_STATE")]
    state: Option<PathBuf>,
    #[command(flatten)]
    stripe: StripeKeys,
    #[command(flatten)]
    vnpay: VnpayKeys,
    #[command(flatten)]
    zalopay: ZalopayKeys,
    #[command(flatten)]
    paypal: PaypalKeys,
}

impl From<Flags> for Settings {
    fn from(flags: Flags) -> Self {
        Self {
            listen: flags.listen,
            client_id: flags.client_id,
            api_key: flags.api_key,
            checksum_key: flags.checksum_key,
            webhook_url: flags.webhook_url,
            webhook_base_url: flags.webhook_base_url,
            description_limit: flags.description_limit,
            state: flags.state,
            stripe: flags.stripe,
            vnpay: flags.vnpay,
            zalopay: flags.zalopay,
            paypal: flags.paypal,
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let running = provider_sandbox::start(Flags::parse().into()).await?;
    let base = running.base_url();
    println!("every provider's API {base}\ncontrol API          {base}/_control/summary");
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result.context("listen for Ctrl-C")?,
    }
    running.stop().await;
    Ok(())
}
