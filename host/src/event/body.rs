//! What a sender posts, taken apart into items.
