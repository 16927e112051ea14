//! What a sandbox is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::provider::Provider;

/// Everything that is fixed for the life of one sandbox.
#[derive(Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The expected `x-client-id` of PayOS.
    pub client_id: String,
    /// The expected `x-api-key` of PayOS.
    pub api_key: String,
    /// The key of all signatures of PayOS, used as the bytes of its text.
    pub checksum_key: String,
    /// Where PayOS's webhooks go until `/confirm-webhook` or the control API says otherwise.
    pub webhook_url: Option<String>,
    /// Where everybody's webhooks go: to `{base}/v1/payments/{provider}/notify`. Without it the base is that of
    /// `webhook_url`, if that has this form.
    pub webhook_base_url: Option<String>,
    /// The most characters of a description at PayOS: 25, or 9 for a bank account that is not linked.
    pub description_limit: usize,
    /// The journal file that keeps the books across restarts.
    pub state: Option<PathBuf>,
    /// The keys of Stripe.
    pub stripe: StripeKeys,
    /// The keys of VNPay.
    pub vnpay: VnpayKeys,
    /// The keys of ZaloPay.
    pub zalopay: ZalopayKeys,
    /// The keys of PayPal.
    pub paypal: PaypalKeys,
}

/// The keys of a Stripe account.
#[derive(Clone, Args)]
pub struct StripeKeys {
    /// Stripe's secret API key.
    #[arg(long, env = "SANDBOX_STRIPE_SECRET_KEY", default_value = StripeKeys::SECRET_KEY, hide_env_values = true)]
    pub stripe_secret_key: String,
    /// The secret of Stripe's webhook endpoint.
    #[arg(long, env = "SANDBOX_STRIPE_WEBHOOK_SECRET", default_value = StripeKeys::FIRST, hide_env_values = true)]
    pub stripe_webhook_secret: String,
    /// The secret that follows it when it is rolled.
    #[arg(long, env = "SANDBOX_STRIPE_SECOND_SECRET", default_value = StripeKeys::SECOND, hide_env_values = true)]
    pub stripe_second_secret: String,
}

/// The keys of a VNPay terminal.
#[derive(Clone, Args)]
pub struct VnpayKeys {
    /// VNPay's code of the terminal.
    #[arg(long, env = "SANDBOX_VNPAY_TMN_CODE", default_value = VnpayKeys::TMN_CODE)]
    pub vnpay_tmn_code: String,
    /// The key of all signatures of VNPay.
    #[arg(long, env = "SANDBOX_VNPAY_HASH_SECRET", default_value = VnpayKeys::HASH_SECRET, hide_env_values = true)]
    pub vnpay_hash_secret: String,
}

/// The keys of a ZaloPay app.
#[derive(Clone, Args)]
pub struct ZalopayKeys {
    /// ZaloPay's number of the app.
    #[arg(long, env = "SANDBOX_ZALOPAY_APP_ID", default_value_t = ZalopayKeys::APP_ID)]
    pub zalopay_app_id: i64,
    /// The key of requests to ZaloPay.
    #[arg(long, env = "SANDBOX_ZALOPAY_KEY1", default_value = ZalopayKeys::KEY1, hide_env_values = true)]
    pub zalopay_key1: String,
    /// The key of ZaloPay's callbacks and redirects.
    #[arg(long, env = "SANDBOX_ZALOPAY_KEY2", default_value = ZalopayKeys::KEY2, hide_env_values = true)]
    pub zalopay_key2: String,
}

/// The keys of a PayPal app.
#[derive(Clone, Args)]
pub struct PaypalKeys {
    /// PayPal's client id.
    #[arg(long, env = "SANDBOX_PAYPAL_CLIENT_ID", default_value = PaypalKeys::CLIENT_ID)]
    pub paypal_client_id: String,
    /// PayPal's client secret.
    #[arg(long, env = "SANDBOX_PAYPAL_SECRET", default_value = PaypalKeys::SECRET, hide_env_values = true)]
    pub paypal_secret: String,
    /// PayPal's id of the shop's webhook.
    #[arg(long, env = "SANDBOX_PAYPAL_WEBHOOK_ID", default_value = PaypalKeys::WEBHOOK_ID)]
    pub paypal_webhook_id: String,
}

impl StripeKeys {
    const SECRET_KEY: &str = "sk_test_sandbox";
    const FIRST: &str = "whsec_sandbox";
    const SECOND: &str = "whsec_sandbox_second";
}

impl VnpayKeys {
    const TMN_CODE: &str = "SANDBOX1";
    const HASH_SECRET: &str = "sandbox-hash-secret";
}

impl ZalopayKeys {
    const APP_ID: i64 = 2553;
    const KEY1: &str = "sandbox-key1";
    const KEY2: &str = "sandbox-key2";
}

impl PaypalKeys {
    const CLIENT_ID: &str = "sandbox-paypal-client";
    const SECRET: &str = "sandbox-paypal-secret";
    const WEBHOOK_ID: &str = "WH-SANDBOX";
}

impl Default for StripeKeys {
    fn default() -> Self {
        Self {
            stripe_secret_key: Self::SECRET_KEY.to_owned(),
            stripe_webhook_secret: Self::FIRST.to_owned(),
            stripe_second_secret: Self::SECOND.to_owned(),
        }
    }
}

impl Default for VnpayKeys {
    fn default() -> Self {
        Self { vnpay_tmn_code: Self::TMN_CODE.to_owned(), vnpay_hash_secret: Self::HASH_SECRET.to_owned() }
    }
}

impl Default for ZalopayKeys {
    fn default() -> Self {
        Self { zalopay_app_id: Self::APP_ID, zalopay_key1: Self::KEY1.to_owned(), zalopay_key2: Self::KEY2.to_owned() }
    }
}

impl Default for PaypalKeys {
    fn default() -> Self {
        Self {
            paypal_client_id: Self::CLIENT_ID.to_owned(),
            paypal_secret: Self::SECRET.to_owned(),
            paypal_webhook_id: Self::WEBHOOK_ID.to_owned(),
        }
    }
}

impl Default for Settings {
    /// A free loopback port and well-known keys, for tests.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            client_id: "sandbox-client".to_owned(),
            api_key: "sandbox-api-key".to_owned(),
            checksum_key: "sandbox-checksum-key".to_owned(),
            webhook_url: None,
            webhook_base_url: None,
            description_limit: 25,
            state: None,
            stripe: StripeKeys::default(),
            vnpay: VnpayKeys::default(),
            zalopay: ZalopayKeys::default(),
            paypal: PaypalKeys::default(),
        }
    }
}

impl Settings {
    /// Where a provider's webhooks go at the start.
    pub fn target_url(&self, provider: Provider) -> Option<String> {
        if let (Provider::Payos, Some(url)) = (provider, &self.webhook_url) {
            return Some(url.clone());
        }
        let of_payos = || self.webhook_url.as_deref()?.strip_suffix("/v1/payments/payos/notify");
        let base = self.webhook_base_url.as_deref().map(|base| base.trim_end_matches('/')).or_else(of_payos)?;
        Some(format!("{base}/v1/payments/{provider}/notify"))
    }
}

impl Settings {
    /// What a shop is told so that it takes payments at this sandbox, which answers at `base_url`. `authority` is a file
    /// with the roots of PayPal's certificates: [`crate::paypal::signing::AUTHORITY`].
    pub fn for_a_shop(&self, base_url: &str, authority: &Path) -> Vec<(&'static str, String)> {
        let Self { stripe, vnpay, zalopay, paypal, .. } = self;
        let base = || base_url.to_owned();
        vec![
            ("BOXOFFICE_PAYOS_URL", base()),
            ("BOXOFFICE_PAYOS_PAGE", format!("{base_url}/pay/{{id}}")),
            ("BOXOFFICE_PAYOS_CLIENT_ID", self.client_id.clone()),
            ("BOXOFFICE_PAYOS_API_KEY", self.api_key.clone()),
            ("BOXOFFICE_PAYOS_CHECKSUM_KEY", self.checksum_key.clone()),
            ("BOXOFFICE_STRIPE_URL", base()),
            ("BOXOFFICE_STRIPE_SECRET_KEY", stripe.stripe_secret_key.clone()),
            (
                "BOXOFFICE_STRIPE_WEBHOOK_SECRETS",
                format!("{},{}", stripe.stripe_webhook_secret, stripe.stripe_second_secret),
            ),
            ("BOXOFFICE_VNPAY_PAGE", format!("{base_url}/paymentv2/vpcpay.html")),
            ("BOXOFFICE_VNPAY_URL", format!("{base_url}/merchant_webapi/api/transaction")),
            ("BOXOFFICE_VNPAY_TMN_CODE", vnpay.vnpay_tmn_code.clone()),
            ("BOXOFFICE_VNPAY_HASH_SECRET", vnpay.vnpay_hash_secret.clone()),
            ("BOXOFFICE_ZALOPAY_URL", base()),
            ("BOXOFFICE_ZALOPAY_APP_ID", zalopay.zalopay_app_id.to_string()),
            ("BOXOFFICE_ZALOPAY_KEY1", zalopay.zalopay_key1.clone()),
            ("BOXOFFICE_ZALOPAY_KEY2", zalopay.zalopay_key2.clone()),
            ("BOXOFFICE_PAYPAL_URL", base()),
            ("BOXOFFICE_PAYPAL_CLIENT_ID", paypal.paypal_client_id.clone()),
            ("BOXOFFICE_PAYPAL_CLIENT_SECRET", paypal.paypal_secret.clone()),
            ("BOXOFFICE_PAYPAL_WEBHOOK_ID", paypal.paypal_webhook_id.clone()),
            ("BOXOFFICE_PAYPAL_CERT_CA", authority.display().to_string()),
        ]
    }
}
