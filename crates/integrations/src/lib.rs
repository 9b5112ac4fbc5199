//! `tower-key-rotation` inside of other libraries: the code of `docs/guide/integrations.md`.
//!
//! Each file is an integration to copy. Each has a test in `tests`, in which one key is limited and another serves.

pub mod with_genai;
pub mod with_octocrab;
pub mod with_reqwest_middleware;
pub mod with_rig;
pub mod with_tonic;
