//! authepy
fn main() {}
