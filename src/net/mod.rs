//! Listeners, streams, pooled buffers, splice.
