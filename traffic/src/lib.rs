//! Routing, balancing, health, retries and client identity as decisions without IO.
