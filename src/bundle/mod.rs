//! A bundle: a versioned set of files plus its catalog; one type, one code path for every source.

pub mod catalog;
