//! Collecting money: the seam, and the providers behind it.

pub mod gateway;

pub use gateway::{CreateError, GatewayError, Gateways, PaymentGateway};
