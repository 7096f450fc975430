//! Rows of SSE.

use super::Row;

pub(super) fn rows() -> Vec<Row> {
    Vec::new()
}
