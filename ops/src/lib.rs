//! boxctl: the operators' and analysts' command line, the local stack and the demo.
