//! An async client that follows redirects and says of every outcome whether it is definite.
