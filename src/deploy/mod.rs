//! The engine: plan, transaction, backup, record. One verb carries the product, `converge`; install, update,
//! rollback and uninstall differ only in where the wanted tree comes from.

pub mod backup;
pub mod bases;
mod batch;
mod by_link;
pub mod bypass;
pub mod checks;
pub mod context;
pub mod converge;
pub mod draft;
mod exports;
pub mod goals;
pub mod journal;
pub mod lacks;
pub mod leaving;
pub mod logins;
pub mod lost;
pub mod permission;
pub mod plan;
pub mod recover;
pub mod rendered;
pub mod resolve;
mod served;
pub mod sessions;
pub mod settings;
mod step;
pub mod store;
pub mod strangers;
pub mod times;
pub mod transaction;
mod trees;
pub mod values;
