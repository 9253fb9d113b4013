//! Carrying out a plan: threads, processes, the clock, and the way back of what they recorded.
