//! Collecting money: the seam, and the providers behind it.

mod breaker;
pub mod gateway;
pub mod payos;

pub use gateway::{CreateError, GatewayError, Gateways, PaymentGateway};
