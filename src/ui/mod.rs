//! What the commands print: answers, plans, checks and tables, for a person and as JSON.
//!
//! Promise: only texts. It decides about no file and changes none; the terminal itself and its questions are in `doors`,
//! because the transaction and the releases talk to the user, too.

pub mod answer;
pub mod bill;
pub mod install_report;
pub mod manner;
pub mod page;
pub mod report;
pub mod table;
pub mod verb;
