//! Collecting money: the seam, and the providers behind it.

mod breaker;
mod caller;
mod failure;
mod formats;
pub mod gateway;
mod gateways;
mod hex;
mod minor;
pub mod payos;
pub mod paypal;
mod providers;
mod reference;
#[cfg(test)]
mod sandboxed;
#[cfg(test)]
mod scripted;
pub mod stripe;
#[cfg(test)]
mod stub;
mod vietnam;
pub mod vnpay;
mod wait;
pub mod zalopay;

pub use breaker::BreakerSettings;
pub use caller::{CallSettings, ClientError};
pub use gateway::{CreateError, GatewayError, PaymentGateway};
pub use gateways::Gateways;
pub use providers::ProviderSettings;
