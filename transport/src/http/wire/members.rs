//! Writes a JSON object member by member.
//!
//! Hand-written, because serde searches each name and id for characters to escape, which takes
//! longer than writing the answer. Texts that a caller chose still go through serde.

/// An object that is not closed yet.
pub(crate) struct Members(Vec<u8>);

impl Members {
    /// An empty object with capacity for this many bytes.
    pub(crate) fn with_room(bytes: usize) -> Self {
        let mut out = Vec::with_capacity(bytes);
        out.push(b'{');
        Self(out)
    }

    /// A text of ours, which needs no escapes.
    pub(crate) fn plain(mut self, name: &'static str, text: &str) -> Self {
        debug_assert!(text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\'));
        self.name(name);
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
        self
    }

    /// A text that a caller or the operator chose.
    pub(crate) fn text(self, name: &'static str, text: &str) -> Self {
        self.value(name, text)
    }

    pub(crate) fn number(self, name: &'static str, number: u64) -> Self {
        self.value(name, &number)
    }

    /// A value that is JSON already.
    pub(crate) fn json(mut self, name: &'static str, json: &str) -> Self {
        self.name(name);
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    /// Adds what `add` adds if `some` has a value.
    pub(crate) fn with<T>(self, some: Option<T>, add: impl FnOnce(Self, T) -> Self) -> Self {
        match some {
            Some(value) => add(self, value),
            None => self,
        }
    }

    /// The complete object.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    fn value(mut self, name: &'static str, value: &(impl serde::Serialize + ?Sized)) -> Self {
        self.name(name);
        // Strings and numbers always serialise, and a `Vec` accepts every write.
        let _written = serde_json::to_writer(&mut self.0, value);
        self
    }

    fn name(&mut self, name: &'static str) {
        let before: &[u8] = if self.0.len() > 1 { b",\"" } else { b"\"" };
        self.0.extend_from_slice(before);
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_it_was_meant() {
        let hard = "quote \" backslash \\ line\n tab\t nul\0 bell\u{7} \u{2028} \u{1f600}";
        let written = Members::with_room(8)
            .plain("id", "vrf_1")
            .text("purpose", hard)
            .number("least", 0)
            .number("most", u64::MAX)
            .json("metadata", r#"{"a":[1,null]}"#)
            .with(None::<&str>, |members, text| members.text("absent", text))
            .with(Some("here"), |members, text| members.text("present", text))
            .end();
        let read: serde_json::Value = serde_json::from_slice(&written).unwrap();
        let meant = serde_json::json!({
            "id": "vrf_1", "purpose": hard, "least": 0, "most": u64::MAX, "metadata": {"a": [1, null]}, "present": "here",
        });
        assert_eq!(read, meant);
        assert_eq!(Members::with_room(0).end(), b"{}");
    }
}
