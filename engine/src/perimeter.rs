//! stub
pub mod api_key;
