//! How faithfully a converted model says what its original says, whatever is right.
//!
//! No labels are needed, and every row counts, where accuracy sees only those that flip. It is an alarm
//! and no verdict on quality: a model may say something else and be right.

mod embeddings;
mod logits;

pub use embeddings::EmbeddingFidelity;
pub use logits::LogitFidelity;

/// Warn when fewer rows than this share keep the original's answer.
pub const LEAST_AGREEMENT: f64 = 0.98;
/// Warn when the mean divergence is more than that many nats.
pub const LARGEST_KL: f64 = 0.01;
/// Warn when the mean cosine is less.
pub const LEAST_COSINE: f64 = 0.999;
