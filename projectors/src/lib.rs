//! Folds the event topics into Postgres read models.
