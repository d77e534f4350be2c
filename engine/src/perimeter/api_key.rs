//! stub
/// m
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// l
    Live,
    /// t
    Test,
}
