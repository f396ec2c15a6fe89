//! The doors: the only modules with effects. Everything else computes.
