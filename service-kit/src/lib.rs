//! What every process shares: configuration, telemetry, health, shutdown, problems, authentication.
