//! The admin listener: metrics, health, readiness, status and control.
