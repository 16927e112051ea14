//! Which providers are set up: each has its own keys, and is not offered without them.

use std::sync::Arc;

use service_kit::config::{Env, Noted};

use super::caller::{CallSettings, ClientError};
use super::gateways::Gateways;
use super::payos::{Payos, PayosSettings};
use super::paypal::{Paypal, PaypalSettings};
use super::stripe::{Stripe, StripeSettings};
use super::vnpay::{Vnpay, VnpaySettings};
use super::zalopay::{Zalopay, ZalopaySettings};

/// The settings of every provider that is set up.
#[derive(Debug, Clone, Default)]
pub struct ProviderSettings {
    /// How all of them are called.
    pub calls: CallSettings,
    /// PayOS.
    pub payos: Option<PayosSettings>,
    /// PayPal.
    pub paypal: Option<PaypalSettings>,
    /// Stripe.
    pub stripe: Option<StripeSettings>,
    /// VNPay.
    pub vnpay: Option<VnpaySettings>,
    /// ZaloPay.
    pub zalopay: Option<ZalopaySettings>,
}

impl ProviderSettings {
    /// Reads them; none of a provider without keys.
    ///
    /// # Errors
    /// Noted in `env`; some keys of a provider without the others, too.
    pub fn read(env: &mut Env) -> Result<Self, Noted> {
        let calls = CallSettings::read(env);
        let payos = PayosSettings::read(env);
        let paypal = PaypalSettings::read(env);
        let stripe = StripeSettings::read(env);
        let vnpay = VnpaySettings::read(env);
        let zalopay = ZalopaySettings::read(env);
        let (payos, paypal, stripe) = (payos?, paypal?, stripe?);
        Ok(Self { calls: calls?, payos, paypal, stripe, vnpay: vnpay?, zalopay: zalopay? })
    }

    /// The gateways to them; calls nobody yet. `public_url` is how browsers reach us.
    ///
    /// # Errors
    /// An address or a key is unusable, or the system has no certificates.
    pub fn gateways(&self, public_url: &str) -> Result<Gateways, ClientError> {
        let mut gateways = Gateways::new(public_url);
        if let Some(settings) = &self.payos {
            gateways = gateways.with(Arc::new(Payos::new(settings.clone(), self.calls)?));
        }
        if let Some(settings) = &self.paypal {
            gateways = gateways.with(Arc::new(Paypal::new(settings.clone(), self.calls)?));
        }
        if let Some(settings) = &self.stripe {
            gateways = gateways.with(Arc::new(Stripe::new(settings.clone(), self.calls)?));
        }
        if let Some(settings) = &self.vnpay {
            gateways = gateways.with(Arc::new(Vnpay::new(settings.clone(), self.calls)?));
        }
        if let Some(settings) = &self.zalopay {
            gateways = gateways.with(Arc::new(Zalopay::new(settings.clone(), self.calls)?));
        }
        if gateways.offered().next().is_none() {
            tracing::warn!("no payment provider is set up: only free orders can be placed");
        }
        Ok(gateways)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_keys_is_offered() {
        let keys = [
            ("BOXOFFICE_VNPAY_TMN_CODE", "CGXZLS0Z"),
            ("BOXOFFICE_VNPAY_HASH_SECRET", "secret"),
            ("BOXOFFICE_ZALOPAY_APP_ID", "2553"),
            ("BOXOFFICE_ZALOPAY_KEY1", "one"),
            ("BOXOFFICE_ZALOPAY_KEY2", "two"),
        ];
        let settings = Env::from_map(keys).read(ProviderSettings::read).unwrap();
        let gateways = settings.gateways("https://tickets.test").unwrap();
        let offered: Vec<&str> = gateways.offered().map(|(provider, _)| provider.as_str()).collect();
        assert_eq!(offered, ["vnpay", "zalopay"]);
    }
}
