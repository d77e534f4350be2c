//! The answer to a batch: for each item, in order, the answer that it would have had by itself.

use serde_json::json;

use super::{Problem, Reply, problem_json, retry_after};

impl Reply {
    /// 200 with `{"status":…,"verification":{…}}` or `{"status":…,"problem":{…}}` for each item.
    ///
    /// An item has no header fields, so its problem carries `Retry-After` as the member
    /// `retry_after`; its `request_id` is that of the whole request.
    pub(crate) fn batch(items: &[Result<Self, Problem>], request_id: &str) -> Self {
        let mut body = vec![b'['];
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            match item {
                Ok(reply) => {
                    body.extend_from_slice(
                        format!("{{\"status\":{},\"verification\":", reply.status).as_bytes(),
                    );
                    body.extend_from_slice(&reply.body);
                    body.push(b'}');
                }
                Err(problem) => {
                    let mut member = problem_json(*problem, request_id);
                    if let Some(seconds) = retry_after(*problem) {
                        member["retry_after"] = seconds.into();
                    }
                    let item = json!({"status": problem.row().0, "problem": member});
                    body.extend_from_slice(item.to_string().as_bytes());
                }
            }
        }
        body.push(b']');
        Self::ok(body)
    }
}
