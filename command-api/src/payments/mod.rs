//! Collecting money: the seam, and the providers behind it.

mod breaker;
mod caller;
mod failure;
pub mod gateway;
mod gateways;
mod hex;
pub mod payos;
mod providers;
#[cfg(test)]
mod scripted;
mod vietnam;
pub mod vnpay;
mod wait;
pub mod zalopay;

pub use breaker::BreakerSettings;
pub use caller::{CallSettings, ClientError};
pub use gateway::{CreateError, GatewayError, PaymentGateway};
pub use gateways::Gateways;
pub use providers::ProviderSettings;
