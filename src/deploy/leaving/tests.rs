//! Sequences of writes and acknowledgements, without a disk.
