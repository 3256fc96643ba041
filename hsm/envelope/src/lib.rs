//! Wrapped keys and the sealed file: what is written, how any chunk is opened, how a crash is salvaged
