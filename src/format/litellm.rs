//! stand-in
#[derive(PartialEq)]
pub enum Severity {
    Error,
}
pub struct Finding {
    pub severity: Severity,
    pub line: usize,
    pub column: usize,
    pub message: String,
}
#[derive(Default)]
pub struct Context {}
pub fn check(_: &str, _: &Context) -> Vec<Finding> {
    vec![]
}
