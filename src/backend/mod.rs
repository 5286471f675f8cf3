//! Servers: balance, health, queue, idle connections.
