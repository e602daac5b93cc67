//! What a reader asks of a cache, and what it is told.

use std::sync::Arc;
use std::time::Duration;

use super::Scope;

/// Which value of a scope. Its name holds all that the value depends on beside the scope, and never a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// What it is forgotten with.
    pub scope: Scope,
    /// Which one.
    pub name: Box<str>,
}

/// A value, or that there is none.
#[derive(Debug)]
pub struct Got<V> {
    /// The value, if there is such a thing.
    pub value: Option<Arc<V>>,
    /// Whether it is as it should be.
    pub freshness: Freshness,
}

impl<V> Clone for Got<V> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), freshness: self.freshness }
    }
}

/// Whether a value is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It is.
    Fresh,
    /// It should have been loaded anew, which failed.
    Stale {
        /// How long ago it should have been.
        overdue: Duration,
    },
}

/// Why there is no value. All who waited for the same load share it.
#[derive(Clone, Debug)]
pub struct Failed(Arc<anyhow::Error>);

impl Failed {
    pub(super) fn new(cause: anyhow::Error) -> Self {
        Self(Arc::new(cause))
    }

    /// What went wrong.
    #[must_use]
    pub fn cause(&self) -> &Arc<anyhow::Error> {
        &self.0
    }
}
