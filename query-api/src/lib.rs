//! The read side: HTTP queries, waiting reads and event streams over the read models.
